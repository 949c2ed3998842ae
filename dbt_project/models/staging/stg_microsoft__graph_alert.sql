-- One row per landed state of an alert: the fields of Microsoft Graph's alerts_v2 under plain names.
select
    -- event
    lower(coalesce(serviceSource, 'unknown')) || ':' || lower(coalesce(category, 'unknown')) as event_type,
    id as alert_id,
    providerAlertId as provider_alert_id,
    incidentId as incident_id,
    title,
    description,
    nullif(category, '') as category,
    lower(severity) as severity_name,
    lower(status) as status_name,
    classification,
    determination,
    nullif(serviceSource, '') as service_source,
    nullif(detectionSource, '') as detection_source,
    nullif(detectorId, '') as detector_id,
    nullif(productName, '') as product_name,
    createdDateTime as created_at,
    lastUpdateDateTime as updated_at,
    firstActivityDateTime as first_activity_at,
    lastActivityDateTime as last_activity_at,
    coalesce(tenantId, azure.tenantId) as tenant_id,
    nullif(threatDisplayName, '') as threat_name,
    nullif(threatFamilyName, '') as threat_family,
    nullif(alertWebUrl, '') as alert_url,
    nullif(alertPolicyId, '') as policy_id,
    mitreTechniques::varchar as techniques,
    azure.category as stream,

    -- what it is about; of a list of things each has what its kind has
    json_transform(evidence, '[{
        "@odata.type": "VARCHAR", "at_sign_odata_type": "VARCHAR", "ipAddress": "VARCHAR",
        "countryLetterCode": "VARCHAR", "url": "VARCHAR", "deviceDnsName": "VARCHAR", "hostName": "VARCHAR",
        "mdeDeviceId": "VARCHAR", "azureAdDeviceId": "VARCHAR", "osPlatform": "VARCHAR",
        "processId": "VARCHAR", "processCommandLine": "VARCHAR", "primaryAddress": "VARCHAR",
        "userAccount": {
            "accountName": "VARCHAR", "domainName": "VARCHAR", "userSid": "VARCHAR", "azureAdUserId": "VARCHAR",
            "userPrincipalName": "VARCHAR", "displayName": "VARCHAR"
        },
        "fileDetails": {"fileName": "VARCHAR", "filePath": "VARCHAR", "sha1": "VARCHAR", "sha256": "VARCHAR"},
        "imageFile": {"fileName": "VARCHAR", "filePath": "VARCHAR", "sha1": "VARCHAR", "sha256": "VARCHAR"}
    }]') as things,

    -- pipeline
    coalesce(_record, _raw) as _raw, _event_key, _event_at, _arrived_at, _batch, _source_object, _source_row,
    _content_hash
from {{ source("bronze", "microsoft_graph_alert") }}
