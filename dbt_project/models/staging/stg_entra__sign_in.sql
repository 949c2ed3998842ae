-- One row per landed sign-in: the fields of Microsoft Graph's signIn under plain names, and what Azure Monitor adds.
select
    -- event: what kind of sign-in
    case
        when list_contains(signInEventTypes, 'managedIdentity') or azure.category = 'ManagedIdentitySignInLogs'
            then 'managedIdentity'
        when list_contains(signInEventTypes, 'servicePrincipal') or azure.category = 'ServicePrincipalSignInLogs'
            then 'servicePrincipal'
        when userId is null and userPrincipalName is null and servicePrincipalId is not null
            then case when managedIdentityType <> 'none' then 'managedIdentity' else 'servicePrincipal' end
        when list_contains(signInEventTypes, 'nonInteractiveUser') or azure.category = 'NonInteractiveUserSignInLogs'
            then 'nonInteractiveUser'
        when not isInteractive and signInEventTypes is null then 'nonInteractiveUser'
        else 'interactiveUser'
    end as event_type,
    createdDateTime as created_at,
    azure.operationName as operation_name,
    azure.category as category,
    azure.level as azure_level,

    -- outcome
    coalesce(status.errorCode, azure.resultType) as error_code,
    nullif(status.failureReason, 'Other.') as failure_reason,
    nullif(azure.resultDescription, 'Other.') as result_description,
    status.additionalDetails as additional_details,
    nullif(azure.resultSignature, 'None') as result_signature,
    conditionalAccessStatus as conditional_access_status,
    appliedConditionalAccessPolicies as policies,

    -- who
    nullif(userId, '') as user_id,
    nullif(userPrincipalName, '') as user_principal_name,
    nullif(userDisplayName, '') as user_display_name,
    userType as user_type,
    nullif(homeTenantId, '') as home_tenant_id,
    nullif(homeTenantName, '') as home_tenant_name,
    nullif(servicePrincipalId, '') as principal_id,
    nullif(servicePrincipalName, '') as principal_name,
    nullif(servicePrincipalCredentialKeyId, '') as credential_key_id,
    nullif(azure.identity, '') as identity,

    -- with what, and to what
    nullif(appId, '') as app_id,
    nullif(appDisplayName, '') as app_name,
    nullif(resourceId, '') as resource_id,
    nullif(resourceDisplayName, '') as resource_name,
    coalesce(azure.tenantId, nullif(resourceTenantId, ''), nullif(homeTenantId, '')) as tenant_id,

    -- client
    nullif(ipAddress, '') as client_address,
    nullif(ipAddressFromResourceProvider, '') as provider_address,
    nullif(userAgent, '') as user_agent,
    nullif(autonomousSystemNumber, 0) as as_number,
    nullif(nullif(location.city, ''), 'Unknown') as city,
    nullif(nullif(location.state, ''), 'Unknown') as state,
    coalesce(nullif(location.countryOrRegion, ''), azure.location) as country,
    location.geoCoordinates.latitude as latitude,
    location.geoCoordinates.longitude as longitude,

    -- device
    nullif(deviceDetail.deviceId, '') as device_id,
    nullif(deviceDetail.displayName, '') as device_name,
    nullif(nullif(deviceDetail.operatingSystem, ''), 'Unknown') as device_os,
    deviceDetail.isManaged as device_is_managed,

    -- authentication
    nullif(authenticationProtocol, 'none') as protocol,
    authenticationRequirement as requirement,
    authenticationDetails as steps,
    nullif(mfaDetail.authMethod, '') as mfa_method,
    nullif(sessionId, '') as session_id,
    correlationId as correlation_id,
    nullif(tokenIssuerName, '') as token_issuer,

    -- risk
    lower(coalesce(
        nullif(nullif(riskLevelDuringSignIn, 'none'), 'hidden'), nullif(nullif(riskLevelAggregated, 'none'), 'hidden')
    )) as risk_level_name,

    -- pipeline
    coalesce(_record, _raw) as _raw, _event_key, _event_at, _arrived_at, _batch, _source_object, _source_row,
    _content_hash
from {{ source("bronze", "entra_sign_in") }}
