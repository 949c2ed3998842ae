-- One row per landed CloudTrail record: its fields under plain names, and the routing key.
-- event_type is `<service>:<operation>`, e.g. iam:CreateUser; `insight:<type>` for CloudTrail Insights; `unnamed:…`
-- for a record without service or operation. Empty texts are absent values.
select
    -- event
    case
        when eventType = 'AwsCloudTrailInsight' then 'insight:' || coalesce(insightDetails ->> 'insightType', 'Unknown')
        when nullif(eventSource, '') is null or nullif(eventName, '') is null
            then 'unnamed:' || coalesce(nullif(eventName, ''), eventType, 'Unknown')
        else regexp_replace(eventSource, '\.amazonaws\.com(\.cn)?$', '') || ':' || eventName
    end as event_type,
    coalesce(nullif(eventSource, ''), insightDetails ->> 'eventSource') as event_source,
    coalesce(nullif(eventName, ''), insightDetails ->> 'eventName') as event_name,
    nullif(eventType, '') as record_type,
    nullif(eventCategory, '') as event_category,
    eventVersion as event_version,
    eventTime as event_time,
    nullif(awsRegion, '') as aws_region,
    nullif(recipientAccountId, '') as recipient_account,
    nullif(sharedEventID, '') as shared_event_id,
    managementEvent as management_event,
    readOnly as read_only,

    -- caller
    nullif(nullif(userIdentity.type, ''), 'Unknown') as identity_type,
    nullif(userIdentity.userName, '') as identity_user_name,
    nullif(userIdentity.principalId, '') as identity_principal,
    nullif(userIdentity.arn, '') as identity_arn,
    nullif(userIdentity.accountId, '') as identity_account,
    coalesce(nullif(userIdentity.accessKeyId, ''), nullif(userIdentity.credentialId, '')) as identity_credential,
    nullif(userIdentity.identityProvider, '') as identity_provider,
    nullif(userIdentity.invokedBy, '') as identity_invoked_by,
    userIdentity.onBehalfOf.userId as on_behalf_of_user,
    userIdentity.onBehalfOf.identityStoreArn as on_behalf_of_store,
    userIdentity.inScopeOf as in_scope_of,

    -- caller's session
    userIdentity.sessionContext.sessionIssuer as session_issuer,
    userIdentity.sessionContext.attributes.creationDate as session_created,
    userIdentity.sessionContext.attributes.mfaAuthenticated = 'true' as session_is_mfa,
    userIdentity.sessionContext.webIdFederationData as web_identity,
    userIdentity.sessionContext.sourceIdentity as source_identity,
    userIdentity.sessionContext.assumedRoot as assumed_root,
    userIdentity.sessionContext.ec2RoleDelivery as ec2_role_delivery,
    sessionCredentialFromConsole as from_console,

    -- where from
    nullif(sourceIPAddress, '') as source_address,
    case when contains(sourceIPAddress, ',') then trim(split_part(sourceIPAddress, ',', 1)) else sourceIPAddress end
        as first_address, -- of several, as a client or proxy gave them (X-Forwarded-For)
    {{ ip_or_null("first_address") }} as source_ip,
    case
        when contains(sourceIPAddress, ',') then list_filter(
            list_transform(string_split(sourceIPAddress, ',')[2:], lambda each: {{ ip_or_null("trim(each)") }}),
            lambda each: each is not null
        )
    end as forwarding_ips,
    nullif(nullif(userAgent, ''), '-') as user_agent,
    nullif(vpcEndpointId, '') as vpc_endpoint,
    nullif(vpcEndpointAccountId, '') as vpc_endpoint_account,
    tlsDetails.clientProvidedHostHeader as tls_host,
    tlsDetails.tlsVersion as tls_version,
    tlsDetails.cipherSuite as tls_cipher,

    -- request and response
    nullif(requestID, '') as request_id,
    nullif(apiVersion, '') as api_version,
    nullif(requestParameters, '""') as request_parameters,
    nullif(responseElements, '""') as response_elements,
    nullif(errorCode, '') as error_code,
    nullif(errorMessage, '') as error_message,
    resources as aws_resources,

    -- further
    nullif(additionalEventData, '""') as additional_data,
    nullif(serviceEventDetails, '""') as service_details,
    insightDetails as insight_details,
    edgeDeviceDetails as edge_device,
    eventContext as event_context,
    addendum,

    -- pipeline
    coalesce(_record, _raw) as _raw,
    _event_key, _event_at, _arrived_at, _batch, _source_object, _source_row, _content_hash
from {{ source("bronze", "aws_cloudtrail") }}
