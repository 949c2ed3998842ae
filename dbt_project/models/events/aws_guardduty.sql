-- The states of GuardDuty findings with their outcome, each state once, and the OCSF objects that are made of what
-- stands in the JSON of their actions and resources.
with routed as (
    select
        event.*,
        coalesce(route.class_uid, 0) as routed_class_uid, -- an event type without a route is a Base Event
        route.activity_id,
        null::varchar as filter,
        case
            when repeated.number > 1 then 'duplicate'
            when filter is not null then 'filtered'
            else 'published'
        end as outcome,
        coalesce(repeated.is_collision and repeated.number = 1, false) as collision,
        case when outcome = 'published' then routed_class_uid end as class_uid -- mappings select by it
    from {{ ref("stg_aws__guardduty") }} as event
    left join {{ routes("aws_guardduty", ref("stg_aws__guardduty")) }} as route using (event_type)
    left join {{ repeated_keys("aws_guardduty", ref("stg_aws__guardduty")) }} as repeated
        using (_batch, _source_object, _source_row)
),

located as (
    select
        *,
        {{ guardduty_text("additional_info", "sample") }} = 'true' or title like '[SAMPLE]%' as is_sample,
        coalesce(api_call, kubernetes_call, connection, port_probe, login_attempt, dns_request) as action_data,
        coalesce(runtime -> '$.process', runtime -> '$.Process') as runtime_process,
        coalesce(kubernetes -> '$.kubernetesWorkloadDetails', kubernetes -> '$.KubernetesWorkloadDetails')
            as kubernetes_workload,
        coalesce(s3_buckets -> '$[*]', []) as buckets,
        {{ guardduty_list("detection", "sequence.actors") }} as sequence_actors,
        {{ guardduty_list("detection", "sequence.resources") }} as sequence_resources
    from routed
),

read as (
    select
        *,
        -- the action: what was called or looked up, and which way
        coalesce({{ guardduty_text("api_call", "api") }}, {{ guardduty_text("kubernetes_call", "verb") }}) as operation,
        coalesce(
            {{ guardduty_text("api_call", "serviceName") }},
            case when kubernetes_call is not null then 'kubernetes' end
        ) as service_name,
        {{ guardduty_text("api_call", "errorCode") }} as response_error,
        {{ guardduty_number("kubernetes_call", "statusCode") }} as response_code,
        coalesce(
            {{ guardduty_known("action_data", "userAgent") }},
            {{ guardduty_known("additional_info", "userAgent.fullUserAgent") }},
            -- of unusual behaviour it stands in a text of JSON
            {{ guardduty_known("try_cast(" ~ guardduty_text("additional_info", "value") ~ " as json)",
                "userAgent.fullUserAgent") }}
        ) as user_agent,
        {{ guardduty_text("kubernetes_call", "requestUri") }} as request_path,
        coalesce(
            {{ guardduty_text("dns_request", "domain") }}, {{ guardduty_text("dns_request", "domainWithSuffix") }}
        ) as dns_name,
        lower({{ guardduty_text("action_data", "protocol") }}) as protocol_name,
        try_cast({{ guardduty_text("action_data", "blocked") }} as boolean) as is_blocked,
        {{ guardduty_list("login_attempt", "loginAttributes") }}[1] as login,
        {{ guardduty_text("connection", "connectionDirection") }} as connection_direction,
        case
            when port_probe is not null then 1
            when dns_request is not null or connection_direction = 'OUTBOUND' then 2
            when connection_direction = 'INBOUND' then 1
            else 0
        end as direction_id,
        coalesce(dns_request is not null or connection_direction = 'OUTBOUND', false) as is_from_here,

        -- what was seen on the network: one thing in an action, several in a probe
        list_transform(
            case
                when port_probe is not null then {{ guardduty_list("port_probe", "portProbeDetails") }}
                when action_data is not null then [action_data]
                else []
            end,
            lambda seen: {
                'remote_ip': coalesce(
                    {{ guardduty_text("seen", "remoteIpDetails.ipAddressV4") }},
                    {{ guardduty_text("seen", "remoteIpDetails.ipAddressV6") }}
                ),
                'remote_port': {{ guardduty_number("seen", "remotePortDetails.port", "bigint", "1 and 65535") }},
                'remote_domain': {{ guardduty_text("seen", "domainDetails.domain") }},
                'city': {{ guardduty_known("seen", "remoteIpDetails.city.cityName") }},
                'country': {{ guardduty_known("seen", "remoteIpDetails.country.countryName") }},
                'country_code': {{ guardduty_known("seen", "remoteIpDetails.country.countryCode") }},
                'lat': {{ guardduty_number("seen", "remoteIpDetails.geoLocation.lat", "double", "-180 and 180") }},
                'lon': {{ guardduty_number("seen", "remoteIpDetails.geoLocation.lon", "double", "-180 and 180") }},
                'asn': nullif({{ guardduty_number("seen", "remoteIpDetails.organization.asn") }}, 0),
                'as_name': {{ guardduty_known("seen", "remoteIpDetails.organization.asnOrg") }},
                'isp': {{ guardduty_known("seen", "remoteIpDetails.organization.isp") }},
                'local_ip': coalesce(
                    {{ guardduty_text("seen", "localIpDetails.ipAddressV4") }},
                    {{ guardduty_text("seen", "localIpDetails.ipAddressV6") }}
                ),
                'local_port': {{ guardduty_number("seen", "localPortDetails.port", "bigint", "1 and 65535") }},
                'local_interface': {{ guardduty_text("seen", "localNetworkInterface") }},
                'forwarding_ips': list_filter(
                    list_transform(
                        {{ guardduty_list("seen", "sourceIPs") }},
                        lambda each: {{ ip_or_null("(each ->> '$')") }}
                    ),
                    lambda each: each is not null and each is distinct from coalesce(
                        {{ guardduty_text("seen", "remoteIpDetails.ipAddressV4") }},
                        {{ guardduty_text("seen", "remoteIpDetails.ipAddressV6") }}
                    )
                ),
                'data': seen
            }
        ) as sightings,

        -- who and what
        {{ guardduty_text("access_key", "accessKeyId") }} as access_key_id,
        coalesce(
            {{ guardduty_text("access_key", "userName") }},
            {{ guardduty_text("kubernetes", "kubernetesUserDetails.username") }},
            {{ guardduty_text("rds_user", "user") }},
            {{ guardduty_text("sequence_actors[1]", "user.name") }}
        ) as user_name,
        coalesce(
            {{ guardduty_text("access_key", "principalId") }},
            {{ guardduty_text("kubernetes", "kubernetesUserDetails.uid") }},
            {{ guardduty_text("sequence_actors[1]", "user.uid") }}
        ) as user_uid,
        coalesce(
            {{ guardduty_known("access_key", "userType") }}, {{ guardduty_known("sequence_actors[1]", "user.type") }}
        ) as user_type,
        {{ guardduty_text("instance", "instanceId") }} as instance_id,
        {{ guardduty_text("instance", "networkInterfaces[0].privateIpAddress") }} as private_ip,
        {{ guardduty_text("instance", "networkInterfaces[0].privateDnsName") }} as private_name,
        {{ guardduty_text("instance", "networkInterfaces[0].networkInterfaceId") }} as interface_id,
        {{ guardduty_text("instance", "networkInterfaces[0].vpcId") }} as vpc_id,
        {{ guardduty_text("instance", "networkInterfaces[0].subnetId") }} as subnet_id,
        {{ guardduty_text("instance", "availabilityZone") }} as instance_zone,
        coalesce(
            {{ guardduty_text("rds_instance", "dbInstanceIdentifier") }},
            {{ guardduty_text("rds_limitless", "dbShardGroupIdentifier") }}
        ) as database_name,

        -- what it is about: each kind by the name that CloudFormation gives it
        list_filter(
            [
                {'type': 'AWS::EC2::Instance', 'uid': {{ guardduty_text("instance", "instanceId") }}, 'data': instance},
                {
                    'type': 'AWS::IAM::AccessKey', 'uid': {{ guardduty_text("access_key", "accessKeyId") }},
                    'name': {{ guardduty_text("access_key", "userName") }},
                    'owner_name': {{ guardduty_text("access_key", "userName") }},
                    'owner_uid': {{ guardduty_text("access_key", "principalId") }}, 'data': access_key
                },
                {
                    'type': 'AWS::EKS::Cluster', 'uid': {{ guardduty_text("eks_cluster", "arn") }},
                    'name': {{ guardduty_text("eks_cluster", "name") }}, 'data': eks_cluster
                },
                {
                    'type': 'Kubernetes Workload', 'uid': {{ guardduty_text("kubernetes_workload", "uid") }},
                    'name': {{ guardduty_text("kubernetes_workload", "name") }}, 'data': kubernetes_workload
                },
                {
                    'type': 'AWS::ECS::Cluster', 'uid': {{ guardduty_text("ecs_cluster", "arn") }},
                    'name': {{ guardduty_text("ecs_cluster", "name") }}, 'data': ecs_cluster
                },
                {'type': 'AWS::ECS::Task', 'uid': {{ guardduty_text("ecs_cluster", "taskDetails.arn") }}},
                {
                    'type': 'Container', 'uid': {{ guardduty_text("container", "id") }},
                    'name': {{ guardduty_text("container", "name") }}, 'data': container
                },
                {
                    'type': 'AWS::Lambda::Function', 'uid': {{ guardduty_text("lambda_function", "functionArn") }},
                    'name': {{ guardduty_text("lambda_function", "functionName") }}, 'data': lambda_function
                },
                {
                    'type': 'AWS::RDS::DBInstance', 'uid': {{ guardduty_text("rds_instance", "dbInstanceArn") }},
                    'name': {{ guardduty_text("rds_instance", "dbInstanceIdentifier") }}, 'data': rds_instance
                },
                {
                    'type': 'AWS::RDS::DBShardGroup', 'uid': {{ guardduty_text("rds_limitless", "dbShardGroupArn") }},
                    'name': {{ guardduty_text("rds_limitless", "dbShardGroupIdentifier") }}, 'data': rds_limitless
                },
                {
                    'type': 'AWS::EC2::Snapshot', 'uid': {{ guardduty_text("ebs_snapshot", "snapshotArn") }},
                    'data': ebs_snapshot
                },
                {'type': 'AWS::EC2::Image', 'uid': {{ guardduty_text("ec2_image", "imageArn") }}, 'data': ec2_image},
                {
                    'type': 'AWS::Backup::RecoveryPoint',
                    'uid': {{ guardduty_text("recovery_point", "recoveryPointArn") }},
                    'name': {{ guardduty_text("recovery_point", "backupVaultName") }}, 'data': recovery_point
                },
                {
                    'type': 'AWS::Bedrock::Guardrail',
                    'uid': {{ guardduty_text("bedrock_guardrail", "guardrailArn") }}, 'data': bedrock_guardrail
                }
            ]
            || list_transform(buckets, lambda entry: {
                'type': 'AWS::S3::Bucket',
                'uid': {{ guardduty_text("entry", "arn") }},
                'name': {{ guardduty_text("entry", "name") }},
                'owner_uid': {{ guardduty_text("entry", "owner.id") }},
                'data': entry
            })
            || list_transform(
                flatten(list_transform(buckets, lambda bucket: {{ guardduty_list("bucket", "s3ObjectDetails") }})),
                lambda entry: {
                    'type': 'AWS::S3::Object',
                    'uid': {{ guardduty_text("entry", "objectArn") }},
                    'name': {{ guardduty_text("entry", "key") }},
                    'data': entry
                }
            )
            || list_transform(
                {{ guardduty_list("ebs_volumes", "scannedVolumeDetails") }}
                || {{ guardduty_list("ebs_volumes", "skippedVolumeDetails") }},
                lambda entry: {
                    'type': 'AWS::EC2::Volume',
                    'uid': {{ guardduty_text("entry", "volumeArn") }},
                    'data': entry
                }
            )
            || list_transform(coalesce(bedrock_models -> '$[*]', []), lambda entry: {
                'type': 'AWS::Bedrock::Model',
                'uid': {{ guardduty_text("entry", "modelId") }},
                'data': entry
            })
            || list_transform(sequence_resources, lambda entry: {
                'type': {{ guardduty_text("entry", "resourceType") }},
                'uid': {{ guardduty_text("entry", "uid") }},
                'name': {{ guardduty_text("entry", "name") }},
                'region': {{ guardduty_text("entry", "region") }},
                'account': {{ guardduty_text("entry", "accountId") }},
                'data': entry
            }),
            lambda entry: coalesce(entry.uid, entry.name) is not null
        ) as concerned
    from located
)

select
    read.*,
    title as message,
    {
        'user': {
            'name': user_name,
            'uid': user_uid,
            'type_id': case
                when user_type = 'IAMUser' then 1
                when user_type = 'Root' then 2
                when user_type = 'AWSService' then 4
                when user_type is not null then 99
            end,
            'type': case user_type
                when 'IAMUser' then 'User' when 'Root' then 'Admin' when 'AWSService' then 'Service' else user_type
            end,
            'groups': list_transform(
                {{ guardduty_list("kubernetes", "kubernetesUserDetails.groups") }},
                lambda name: {'name': name ->> '$'}
            ),
            'programmatic_credentials': case when access_key_id is not null then [{'uid': access_key_id}] end
        },
        -- the process that Runtime Monitoring found
        'process': {{ guardduty_process("runtime_process") }}
    } as actor,
    case
        when instance_id is not null then {
            'uid': instance_id,
            'hostname': private_name,
            'ip': {{ ip_or_null("private_ip") }},
            'instance_uid': instance_id,
            'interface_uid': interface_id,
            'vpc_uid': vpc_id,
            'subnet_uid': subnet_id,
            'region': aws_region,
            'zone': instance_zone,
            'type_id': 6,
            'type': 'Virtual'
        }
    end as device,
    {'provider': 'AWS', 'region': aws_region, 'account': {{ aws_account("account_id") }}} as cloud,
    list_transform(concerned, lambda entry: {
        'uid': entry.uid,
        'name': entry.name,
        'type': entry.type,
        'owner': {'name': entry.owner_name, 'uid': entry.owner_uid, 'account': {'uid': entry.account}},
        'region': coalesce(entry.region, aws_region),
        'role_id': case resource_role when 'TARGET' then 1 when 'ACTOR' then 2 end,
        'role': case resource_role when 'TARGET' then 'Target' when 'ACTOR' then 'Actor' end,
        'cloud_partition': aws_partition,
        'data': entry.data
    }) as resources,

    -- The far and the near end of what was seen. An end that nothing identifies is none. 0/0 is no place, and a place
    -- has a country or a city.
    list_transform(sightings, lambda seen: {
        'far': case
            when coalesce(seen.remote_ip, seen.remote_domain) is not null then {
                'ip': {{ ip_or_null("seen.remote_ip") }},
                'name': case
                    when coalesce({{ ip_or_null("seen.remote_ip") }}, seen.remote_domain) is null then seen.remote_ip
                end,
                'intermediate_ips': nullif(seen.forwarding_ips, []),
                'port': seen.remote_port,
                'domain': seen.remote_domain,
                'svc_name': case when seen.remote_domain like '%.amazonaws.com' then seen.remote_domain end,
                'isp': seen.isp,
                'location': case
                    when coalesce(seen.city, seen.country_code, country_code_of[seen.country]) is not null then {
                        'city': seen.city,
                        'country': coalesce(seen.country_code, country_code_of[seen.country]),
                        'lat': case when seen.lat <> 0 or seen.lon <> 0 then seen.lat end,
                        'long': case when seen.lat <> 0 or seen.lon <> 0 then seen.lon end
                    }
                end,
                'autonomous_system': {'number': seen.asn, 'name': seen.as_name}
            }
        end,
        -- the instance, or the database whose login was tried
        'near': case
            when coalesce(
                seen.local_ip, private_ip, instance_id, seen.local_interface,
                case when login_attempt is not null then database_name end
            ) is not null then {
                'ip': {{ ip_or_null("coalesce(seen.local_ip, private_ip)") }},
                'port': seen.local_port,
                'name': case
                    when login_attempt is not null then database_name
                    when {{ ip_or_null("coalesce(seen.local_ip, private_ip)") }} is null then seen.local_ip
                end,
                'instance_uid': instance_id,
                'interface_uid': seen.local_interface,
                'vpc_uid': vpc_id,
                'subnet_uid': subnet_id
            }
        end,
        'data': seen.data
    }) as encounters,
    country_code_of, -- GuardDuty names countries, OCSF wants their codes
    {{ ocsf_metadata(
        "AWS", "GuardDuty", event_code="nullif(event_type, 'Unknown')", original_time="updated_at",
        feature_name="feature_name", version="schema_version", correlation_uid="attack_sequence_arn",
        labels="case when is_sample then ['sample'] end"
    ) }} as metadata,

    -- what OCSF has no place for
    {{ unmapped_json({
        "severity": "severity_value",
        "partition": "case when len(concerned) = 0 then aws_partition end",
        "customDetectionRuleName": "custom_rule",
        "resource.resourceType": "resource_type",
        "resource.rdsDbUserDetails": "rds_user",
        "resource.kubernetesDetails": "kubernetes",
        "service.userFeedback": "user_feedback",
        "service.additionalInfo": "additional_info",
        "service.detection": "detection",
        "service.action.kubernetesPermissionCheckedDetails": "kubernetes_permission",
        "service.action.kubernetesRoleBindingDetails": "kubernetes_role_binding",
        "service.action.kubernetesRoleDetails": "kubernetes_role",
        "service.ebsVolumeScanDetails": "volume_scan",
        "service.malwareScanDetails": "malware_scan",
    }) }} as unmapped
from read
cross join (select map(list(name), list(code)) as country_code_of from {{ ref("country_codes") }}) as countries
