-- One row per landed Okta System Log event: the fields of the LogEvent object under plain names. Okta writes `unknown`
-- (and the network zone `null`) where it has no value.
select
    -- event
    eventType as event_type,
    displayMessage as display_message,
    severity as log_severity,
    published,
    version as log_version,
    legacyEventType as legacy_event_type,
    upper(outcome.result) as outcome_result,
    outcome.reason as outcome_reason,

    -- who did it, and on what
    actor as raw_actor,
    target as raw_targets,

    -- client
    nullif(client.id, 'unknown') as client_id,
    client.ipAddress as client_address,
    nullif(client.zone, 'null') as client_zone,
    nullif(client.device, 'Unknown') as client_device,
    nullif(client.userAgent.rawUserAgent, 'unknown') as user_agent,
    client.userAgent.os as user_agent_os,
    client.userAgent.browser as user_agent_browser,
    nullif(client.geographicalContext.city, 'unknown') as client_city,
    client.geographicalContext.state as client_state,
    nullif(client.geographicalContext.country, 'unknown') as client_country,
    client.geographicalContext.postalCode as client_postal_code,
    client.geographicalContext.geolocation.lat as client_lat,
    client.geographicalContext.geolocation.lon as client_lon,
    request.ipChain as ip_chain,

    -- network of the client
    nullif(securityContext.asNumber, 0) as as_number,
    nullif(nullif(securityContext.asOrg, 'unknown'), '.') as as_org,
    nullif(nullif(securityContext.isp, 'unknown'), '.') as isp,
    nullif(nullif(securityContext.domain, '.'), 'unknown') as client_domain,
    securityContext.isProxy as is_proxy,
    securityContext.userBehaviors as user_behaviors,
    securityContext.risk as security_risk,
    securityContext.ipDetails as ip_details,

    -- device
    device.id as device_id,
    device.name as device_name,
    device.os_platform as device_os,
    device.os_version as device_os_version,
    device.managed as device_managed,
    device.registered as device_registered,
    device.device_integrator as device_integrator,
    device.disk_encryption_type as device_disk_encryption,
    device.screen_lock_type as device_screen_lock,
    device.jailbreak as device_jailbreak,
    device.secure_hardware_present as device_secure_hardware,

    -- authentication
    authenticationContext.authenticationProvider as authentication_provider,
    authenticationContext.authenticationStep as authentication_step,
    authenticationContext.credentialProvider as credential_provider,
    authenticationContext.credentialType as credential_type,
    authenticationContext.issuer.id as issuer_id,
    authenticationContext.issuer.type as issuer_type,
    authenticationContext.interface as authentication_interface,
    nullif(authenticationContext.externalSessionId, 'unknown') as session_id,
    authenticationContext.rootSessionId as root_session_id,

    -- transaction
    nullif(transaction.id, 'unknown') as transaction_id,
    transaction.type as transaction_type,
    transaction.detail as transaction_detail,

    -- debug data
    debugContext.debugData as raw_debug_data,

    -- pipeline
    _raw, _event_key, _event_at, _arrived_at, _batch, _source_object, _source_row, _content_hash
from {{ source("bronze", "okta_system_log") }}
