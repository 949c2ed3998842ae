-- One row per landed directory audit: the fields of Microsoft Graph's directoryAudit under plain names, and what Azure
-- Monitor adds.
with read as (
    select
        *,
        list_transform(
            json_transform(additionalDetails, '[{"key": "VARCHAR", "value": "JSON"}]'),
            lambda each: {'Name': each.key, 'Value': each.value}
        ) as details
    from {{ source("bronze", "entra_directory_audit") }}
)

select
    -- event
    lower(trim(coalesce(activityDisplayName, azure.operationName, 'unknown'), ' .')) as event_type,
    coalesce(activityDisplayName, azure.operationName) as operation,
    category,
    operationType as operation_type,
    nullif(loggedByService, '') as service_name,
    activityDateTime as done_at,
    nullif(correlationId, '') as correlation_id,
    coalesce(azure.tenantId, tenantId) as tenant_id,
    azure.level as azure_level,

    -- outcome
    nullif(coalesce(nullif(result, 'None'), nullif(azure.resultType, '')), '') as result,
    coalesce(nullif(resultReason, ''), nullif(azure.resultDescription, '')) as result_reason,

    -- who
    nullif(initiatedBy.user.id, '') as user_id,
    nullif(initiatedBy.user.userPrincipalName, '') as user_principal_name,
    nullif(initiatedBy.user.displayName, '') as user_display_name,
    nullif(initiatedBy.user.homeTenantId, '') as home_tenant_id,
    nullif(initiatedBy.user.homeTenantName, '') as home_tenant_name,
    nullif(initiatedBy.app.appId, '') as app_id,
    nullif(initiatedBy.app.displayName, '') as app_name,
    nullif(initiatedBy.app.servicePrincipalId, '') as principal_id,
    nullif(initiatedBy.app.servicePrincipalName, '') as principal_name,
    nullif(azure.identity, '') as identity,

    -- client
    coalesce(
        nullif(initiatedBy.user.ipAddress, ''), nullif(azure.callerIpAddress, ''),
        {{ named_value("details", "ipaddr") }}, {{ named_value("details", "IpAddress") }}
    ) as client_address,
    coalesce(nullif(userAgent, ''), {{ named_value("details", "User-Agent") }}) as user_agent,
    {{ named_value("details", "DeviceOSType") }} as device_os,

    -- on what
    targetResources as targets,
    coalesce({{ named_value("details", "RoleName") }}, {{ named_value("details", "Role") }}) as role_detail,
    flatten(list_transform(
        targetResources,
        lambda target: list_transform(
            json_transform(
                target.modifiedProperties, '[{"displayName": "VARCHAR", "oldValue": "JSON", "newValue": "JSON"}]'
            ),
            lambda each: {'Name': each.displayName, 'OldValue': each.oldValue, 'NewValue': each.newValue}
        )
    )) as modified,

    -- pipeline
    coalesce(_record, _raw) as _raw, _event_key, _event_at, _arrived_at, _batch, _source_object, _source_row,
    _content_hash
from read
