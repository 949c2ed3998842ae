-- One row per landed Okta System Log event: the fields of the LogEvent object under plain names. Okta writes `unknown`
-- (and the network zone `null`) where it has no value.
with bronze as (
    select
        *,
        -- Sentinel keeps the values of an event in columns of a table: of its first connector they end in their type
        -- (eventType_s), of its second one they have names of their own.
        case
            when actor.id is null and outcome.result is null
                and regexp_matches(_raw, '"(eventType_s|EventOriginalType)"')
                then json_transform(_raw, '{{ okta_columns() }}')
        end as "columns"
    from {{ source("bronze", "okta_system_log") }}
)

select
    -- event
    eventType as event_type,
    displayMessage as display_message,
    severity as log_severity,
    published,
    version as log_version,
    legacyEventType as legacy_event_type,
    upper({{ okta_value("outcome.result", "OriginalOutcomeResult") }}) as outcome_result,
    {{ okta_value("outcome.reason", "EventOriginalResultDetails") }} as outcome_reason,

    -- who did it, and on what
    case
        when "columns" is not null then {
            'id': coalesce("columns".actor_id_s, "columns".OriginalUserId, "columns".ActorUserId),
            'type': coalesce("columns".actor_type_s, "columns".OriginalUserType),
            'alternateId': coalesce(
                "columns".actor_alternateId_s, "columns".OriginalActorAlternateId, "columns".ActorUsername
            ),
            'displayName': coalesce("columns".actor_displayName_s, "columns".ActorDisplayName),
            'detailEntry': null::json
        }
        else actor
    end as raw_actor,
    case
        when "columns" is not null
            then from_json({{ json_or_text('coalesce("columns".target_s, "columns".OriginalTarget)') }}, '[{
                "id": "VARCHAR", "type": "VARCHAR", "alternateId": "VARCHAR", "displayName": "VARCHAR",
                "detailEntry": "JSON", "changeDetails": "JSON"
            }]')
        else target
    end as raw_targets,

    -- client
    nullif(client.id, 'unknown') as client_id,
    {{ okta_value("client.ipAddress", "SrcIpAddr") }} as client_address,
    nullif({{ okta_value("client.zone", "SrcZone") }}, 'null') as client_zone,
    nullif({{ okta_value("client.device", "OriginalClientDevice") }}, 'Unknown') as client_device,
    {{ okta_value("client.userAgent.rawUserAgent", "HttpUserAgent") }} as user_agent,
    {{ okta_value("client.userAgent.os") }} as user_agent_os,
    {{ okta_value("client.userAgent.browser") }} as user_agent_browser,
    {{ okta_value("client.geographicalContext.city", "SrcGeoCity") }} as client_city,
    {{ okta_value("client.geographicalContext.state", "SrcGeoRegion") }} as client_state,
    {{ okta_value("client.geographicalContext.country", "SrcGeoCountry") }} as client_country,
    {{ okta_value("client.geographicalContext.postalCode", "SrcGeoPostalCode") }} as client_postal_code,
    {{ okta_value("client.geographicalContext.geolocation.lat", "SrcGeoLatitude", type="double") }} as client_lat,
    {{ okta_value("client.geographicalContext.geolocation.lon", "SrcGeoLongitude", type="double") }} as client_lon,
    request.ipChain as ip_chain,

    -- network of the client
    nullif({{ okta_value("securityContext.asNumber", "SecurityContextAsNumber", type="bigint") }}, 0) as as_number,
    nullif({{ okta_value("securityContext.asOrg", "SecurityContextAsOrg") }}, '.') as as_org,
    nullif({{ okta_value("securityContext.isp", "SrcIsp") }}, '.') as isp,
    nullif({{ okta_value("securityContext.domain", "SecurityContextDomain") }}, '.') as client_domain,
    {{ okta_value("securityContext.isProxy", "SecurityContextIsProxy", type="boolean") }} as is_proxy,
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
    {{ okta_value("authenticationContext.credentialProvider") }} as credential_provider,
    {{ okta_value("authenticationContext.credentialType") }} as credential_type,
    authenticationContext.issuer.id as issuer_id,
    authenticationContext.issuer.type as issuer_type,
    authenticationContext.interface as authentication_interface,
    {{ okta_value("authenticationContext.externalSessionId", "ActorSessionId") }} as session_id,
    authenticationContext.rootSessionId as root_session_id,

    -- transaction
    {{ okta_value("transaction.id", "TransactionId") }} as transaction_id,
    {{ okta_value("transaction.type", "TransactionType") }} as transaction_type,
    transaction.detail as transaction_detail,

    -- debug data
    case
        when "columns".DebugData is not null then {{ json_or_text('"columns".DebugData') }}
        when "columns" is not null then to_json({
            'factor': "columns".debugContext_debugData_factor_s,
            'requestUri': "columns".debugContext_debugData_requestUri_s,
            'risk': "columns".debugContext_debugData_risk_s
        })
        else debugContext.debugData
    end as raw_debug_data,

    -- pipeline
    _raw, _event_key, _event_at, _arrived_at, _batch, _source_object, _source_row, _content_hash
from bronze
