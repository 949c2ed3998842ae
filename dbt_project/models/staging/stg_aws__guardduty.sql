-- One row per landed state of a GuardDuty finding: its fields under plain names. event_type is the finding type, e.g.
-- UnauthorizedAccess:EC2/SSHBruteForce. What an action or a resource holds stays JSON, in the letter case it came in.
select
    -- finding
    coalesce(nullif("type", ''), 'Unknown') as event_type,
    findingId as finding_id,
    arn as finding_arn,
    schemaVersion as schema_version,
    nullif(accountId, '') as account_id,
    nullif(findingRegion, '') as aws_region,
    "partition" as aws_partition,
    nullif(title, '') as title,
    nullif("description", '') as finding_description,
    case when isfinite(severity) then severity end as severity_value,
    confidence as confidence_value,
    {{ guardduty_millis("createdAt") }} as created_millis,
    updatedAt as updated_at,
    associatedAttackSequenceArn as attack_sequence_arn,
    customDetectionRuleName as custom_rule,

    -- what it is about
    resource.resourceType as resource_type,
    resource.accessKeyDetails as access_key,
    resource.instanceDetails as instance,
    resource.s3BucketDetails as s3_buckets,
    resource.eksClusterDetails as eks_cluster,
    resource.kubernetesDetails as kubernetes,
    resource.ecsClusterDetails as ecs_cluster,
    resource.containerDetails as container,
    resource.lambdaDetails as lambda_function,
    resource.rdsDbInstanceDetails as rds_instance,
    resource.rdsLimitlessDbDetails as rds_limitless,
    resource.rdsDbUserDetails as rds_user,
    resource.ebsVolumeDetails as ebs_volumes,
    resource.ebsSnapshotDetails as ebs_snapshot,
    resource.ec2ImageDetails as ec2_image,
    resource.recoveryPointDetails as recovery_point,
    resource.bedrockGuardrailDetails as bedrock_guardrail,
    resource.modelDetails as bedrock_models,

    -- how it was found
    service.detectorId as detector_id,
    nullif(service.featureName, '') as feature_name,
    service.resourceRole as resource_role,
    service.archived as is_archived,
    service."count" as seen_count,
    {{ guardduty_millis("service.eventFirstSeen") }} as first_seen_millis,
    {{ guardduty_millis("service.eventLastSeen") }} as last_seen_millis,
    service.userFeedback as user_feedback,
    service.additionalInfo as additional_info,
    service.evidence as threat_evidence,

    -- what happened
    service."action".actionType as action_type,
    service."action".awsApiCallAction as api_call,
    service."action".dnsRequestAction as dns_request,
    service."action".networkConnectionAction as connection,
    service."action".portProbeAction as port_probe,
    service."action".kubernetesApiCallAction as kubernetes_call,
    service."action".rdsLoginAttemptAction as login_attempt,
    service."action".kubernetesPermissionCheckedDetails as kubernetes_permission,
    service."action".kubernetesRoleBindingDetails as kubernetes_role_binding,
    service."action".kubernetesRoleDetails as kubernetes_role,
    service.runtimeDetails as runtime,
    service.detection,
    service.ebsVolumeScanDetails as volume_scan,
    service.malwareScanDetails as malware_scan,

    -- pipeline
    _raw, _event_key, _event_at, _arrived_at, _batch, _source_object, _source_row, _content_hash
from {{ source("bronze", "aws_guardduty") }}
