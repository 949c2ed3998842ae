-- One row per landed state of a risk detection: the fields of Microsoft Graph's riskDetection under plain names.
select
    -- event
    lower(coalesce(riskEventType, riskType, 'unknown')) as event_type,
    coalesce(riskEventType, riskType) as risk_type,
    lower(riskLevel) as risk_level_name,
    riskState as risk_state,
    nullif(riskDetail, 'none') as risk_detail,
    source as detected_by,
    id as detection_id,
    requestId as request_id,
    nullif(correlationId, '') as correlation_id,
    azure.tenantId as tenant_id,
    azure.category as category,
    azure.operationName as operation_name,
    detectedDateTime as detected_at,
    activityDateTime as done_at,
    lastUpdatedDateTime as updated_at,

    -- who
    nullif(userId, '') as user_id,
    nullif(userPrincipalName, '') as user_principal_name,
    nullif(userDisplayName, '') as user_display_name,
    nullif(servicePrincipalId, '') as principal_id,
    nullif(servicePrincipalDisplayName, '') as principal_name,
    nullif(appId, '') as app_id,

    -- client
    nullif(ipAddress, '') as client_address,
    nullif(nullif(location.city, ''), 'Unknown') as city,
    nullif(nullif(location.state, ''), 'Unknown') as state,
    nullif(location.countryOrRegion, '') as country,
    location.geoCoordinates.latitude as latitude,
    location.geoCoordinates.longitude as longitude,
    {{ info_value("userAgent") }} as user_agent,
    {{ info_value("alertUrl") }} as alert_url,
    coalesce(
        nullif(mitreTechniqueId, ''), nullif(mitreTechniques, ''), {{ info_value("mitreTechniques") }}
    ) as techniques,

    -- pipeline
    coalesce(_record, _raw) as _raw, _event_key, _event_at, _arrived_at, _batch, _source_object, _source_row,
    _content_hash
from {{ source("bronze", "entra_risk_detection") }}
