-- Okta events with their outcome, and the OCSF objects that the mappings of Okta share. Kinds of actors and targets are
-- those of Okta's LogEvent object and event type catalogue (developer.okta.com). Okta writes `unknown` for no value.
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
    from {{ ref("stg_okta__system_log") }} as event
    left join {{ routes("okta_system_log", ref("stg_okta__system_log")) }} as route using (event_type)
    left join {{ repeated_keys("okta_system_log", ref("stg_okta__system_log")) }} as repeated
        using (_batch, _source_object, _source_row)
),

read as (
    select
        * exclude (raw_actor, raw_targets, raw_debug_data),

        -- who did it, like a target; an address is no person (ThreatInsight)
        case
            when raw_actor.type is distinct from 'IP address'
                and coalesce(raw_actor.id, raw_actor.type, raw_actor.alternateId, raw_actor.displayName) is not null
                then {
                    'id': raw_actor.id,
                    'type': raw_actor.type,
                    'alternateId': raw_actor.alternateId,
                    'displayName': raw_actor.displayName,
                    'detailEntry': raw_actor.detailEntry,
                    'changeDetails': null::json
                }
        end as acting,
        {{ okta_parties("[acting]") }}[1] as actor_party,
        {{ okta_parties("raw_targets") }} as targets,
        -- behind proxies it is a list, the client's own first
        {{ ip_or_null("coalesce(
            case
                when contains(client_address, ',') then trim(split_part(client_address, ',', 1)) else client_address
            end,
            case when raw_actor.type = 'IP address' then raw_actor.id end
        )") }} as client_ip,
        country.code as client_country_code, -- Okta names countries, OCSF wants their codes

        -- debug data: an open map; some collectors deliver it as text
        case when json_type(raw_debug_data) = 'OBJECT' then raw_debug_data end as debug_data,
        case when json_type(raw_debug_data) <> 'OBJECT' then nullif(raw_debug_data ->> '$', '') end as debug_text,
        coalesce(debug_data ->> 'requestUri', debug_data ->> 'request_uri') as request_uri,
        case when starts_with(request_uri, '/') then request_uri end as request_path,
        case
            when debug_data is null then to_json(debug_text) else nullif(debug_data::varchar, '{}')::json
        end as debug_left,
        -- risk is written `{level=LOW, reasons=…}` in debug data and as JSON elsewhere
        upper(regexp_extract(
            coalesce(security_risk::varchar, debug_data ->> 'risk', debug_data ->> 'logOnlySecurityData'),
            '\blevel"?[=:]\s*"?([A-Za-z]+)', 1
        )) as risk_level,

        -- The names of the factors. An authenticator may have several methods (Okta Verify, Phone): the debug data name
        -- the one of an event with one authenticator, else the authenticator's own details. Without authenticators they
        -- are of the debug data, the kind of credential, or the kind of event (system.sms.…, deny_push).
        list_filter(raw_targets, lambda entity: entity.type = 'AuthenticatorEnrollment') as enrolled,
        coalesce(debug_data ->> 'factor', debug_data ->> 'factorType') as debug_factor,
        case
            when len(enrolled) > 0 then list_transform(enrolled, lambda entity: coalesce(
                case when len(enrolled) = 1 then debug_factor end,
                entity.detailEntry ->> 'methodTypeUsed',
                case when entity.displayName in ('Okta Verify', 'Phone') then debug_factor end,
                nullif(entity.displayName, 'unknown')
            ))
            else [coalesce(
                debug_factor,
                case when credential_type in ('OTP', 'SMS', 'PASSWORD', 'EMAIL') then credential_type end,
                case
                    when event_type like 'system.%.send_%' then split_part(event_type, '.', 2)
                    when event_type like 'user.mfa.okta_verify%push%' then 'push'
                end
            )]
        end as factor_names,

        -- Okta's Computer may be a desktop or a laptop
        case client_device
            when 'Mobile' then 5 when 'Tablet' then 4
            else case when client_device is not null then 99 end
        end as client_type_id,
        case upper(device_os)
            when 'WINDOWS' then 100 when 'LINUX' then 200 when 'ANDROID' then 201
            when 'OSX' then 300 when 'MACOS' then 300 when 'IOS' then 301
            else 99
        end as device_os_type_id
    from routed
    left join {{ ref("country_codes") }} as country on country.name = routed.client_country
),

picked as (
    select
        *,
        -- the first target of each kind that an OCSF object is made of
        list_filter(targets, lambda target: target.type = 'User')[1] as target_user,
        list_filter(targets, lambda target: target.type = 'AppUser')[1] as target_app_user,
        list_filter(targets, lambda target: target.type = 'AppInstance')[1] as target_app,
        list_filter(targets, lambda target: target.type = 'UserGroup')[1] as target_group,
        list_filter(targets, lambda target: target.type = 'PublicClientApp')[1] as target_client,
        coalesce(
            list_filter(targets, lambda target: target.type = 'PolicyEntity')[1],
            list_filter(targets, lambda target: target.type = 'PolicyRule')[1]
        ) as target_policy
    from read
)

select
    picked.*,
    case when activity_id = 99 then event_type end as activity_name,
    display_message as message,

    -- outcome: a challenge, a skipped or a deferred step is neither success nor failure, it keeps Okta's word
    case
        when outcome_result in ('SUCCESS', 'ALLOW') then 1
        when outcome_result in ('FAILURE', 'DENY', 'UNANSWERED', 'ABANDONED', 'RATE_LIMIT', 'ERROR') then 2
        when outcome_result in ('SKIPPED', 'CHALLENGE', 'DEFERRED', 'SCHEDULED') then 99
        else 0
    end as status_id,
    case when outcome_result in ('SKIPPED', 'CHALLENGE', 'DEFERRED', 'SCHEDULED') then outcome_result end as status,
    nullif(outcome_result, 'UNKNOWN') as status_code,
    outcome_reason as status_detail,
    case outcome_result when 'ALLOW' then 1 when 'DENY' then 2 end as action_id,
    case outcome_result when 'ALLOW' then 1 when 'DENY' then 2 when 'CHALLENGE' then 23 end as disposition_id,
    case risk_level
        when 'LOW' then 1 when 'MEDIUM' then 2 when 'HIGH' then 3 when 'CRITICAL' then 4
    end as risk_level_id,
    case
        when log_severity in ('DEBUG', 'INFO') then 1
        when log_severity = 'WARN' then 3
        when log_severity = 'ERROR' then 4
        when log_severity is not null then 99
        else 0
    end as severity_id,
    case when log_severity not in ('DEBUG', 'INFO', 'WARN', 'ERROR') then log_severity end as severity,

    -- on what
    list_transform(targets, lambda target: target.resource) as resources,
    {
        'name': target_policy.displayName,
        'uid': target_policy.id,
        'type': target_policy.detailEntry ->> 'policyType'
    } as policy,

    -- who, from where, with what
    {'uid': session_id, 'uid_alt': nullif(root_session_id, session_id), 'issuer': issuer_id} as session,
    {
        'user': case
            when actor_party.type is not null then actor_party.user
            else struct_update( -- only what the record says: no type, no name for want of one
                actor_party.user, name := nullif(actor_party.user.name, 'Unknown'), type_id := null, type := null
            )
        end,
        'session': session,
        'app_uid': client_id
    } as actor,
    case
        when coalesce(
            client_ip, client_domain, client_device, client_city, client_country_code, client_postal_code, as_org, isp,
            as_number::varchar, ip_chain[1].ip
        ) is not null then {
            'ip': client_ip,
            'name': case when coalesce(client_ip, client_domain) is null then 'Unknown' end,
            'domain': client_domain,
            'type_id': client_type_id,
            'type': case when client_type_id is not null then client_device end,
            'isp': isp,
            'location': case
                when coalesce(client_city, client_country_code, client_postal_code) is not null then {
                    'city': client_city,
                    'country': client_country_code,
                    'postal_code': client_postal_code,
                    'lat': case when client_lat <> 0 or client_lon <> 0 then client_lat end, -- 0/0 is no place
                    'long': case when client_lat <> 0 or client_lon <> 0 then client_lon end
                }
            end,
            'autonomous_system': {'number': as_number, 'name': as_org},
            'intermediate_ips': list_filter(
                list_transform(ip_chain, lambda hop: {{ ip_or_null("hop.ip") }}),
                lambda ip: ip is not null and ip is distinct from client_ip
            )
        }
    end as src_endpoint,
    {'user_agent': user_agent, 'url': {'path': request_path}} as http_request,
    -- the registered device of Okta Verify or device trust
    case
        when coalesce(device_id, device_name) is not null then {
            'uid': device_id,
            'name': device_name,
            'type_id': coalesce(client_type_id, 0),
            'type': coalesce(client_device, 'Unknown'),
            'os': case
                when device_os is not null then {
                    'name': device_os,
                    'version': device_os_version,
                    'type_id': device_os_type_id,
                    'type': coalesce(
                        {{ ocsf_caption("base_event", "device.os.type_id", "nullif(device_os_type_id, 99)") }},
                        device_os
                    )
                }
            end,
            'is_managed': device_managed
        }
    end as device,
    -- Names of factors, methods and authenticators (`Security Key or Biometric` is WebAuthn). One that may be several
    -- things, like Phone, or is none of OCSF's, like FastPass (SIGNED_NONCE), stays Other under its name.
    list_transform(
        list_transform(
            list_filter(factor_names, lambda name: name is not null),
            lambda name: {
                'name': name,
                'type_id': case
                    when regexp_matches(name, 'push', 'i') then 5
                    when regexp_matches(name, 'u2f', 'i') then 9
                    when regexp_matches(name, 'webauthn|fido|security key|passkey', 'i') then 10
                    when regexp_matches(name, 'yubikey|rsa_token|rsa securid|smart.?card', 'i') then 6
                    when regexp_matches(name, 'question', 'i') then 2
                    when regexp_matches(name, 'sms', 'i') then 1
                    when regexp_matches(name, 'call|voice', 'i') then 3
                    when regexp_matches(name, 'email', 'i') then 8
                    when regexp_matches(name, 'password', 'i') then 11
                    when regexp_matches(
                        name, 'otp|one-time|soft_token|google.?auth|enter a code|software:token|token:software', 'i'
                    ) then 7
                    else 99
                end
            }
        ),
        lambda factor: {
            'factor_type_id': factor.type_id,
            'factor_type': coalesce(
                {{ ocsf_caption("authentication", "auth_factors.factor_type_id", "nullif(factor.type_id, 99)") }},
                factor.name
            ),
            'provider': credential_provider
        }
    ) as auth_factors,
    -- administrator roles and scopes that were given or taken
    coalesce(
        string_split(nullif(coalesce(
            debug_data ->> 'privilegeGranted', debug_data ->> 'privilegeRevoked', debug_data ->> 'grantedScopes'
        ), ''), ', '),
        nullif(list_transform(
            list_filter(targets, lambda target: target.type in ('ROLE', 'Role')),
            lambda target: coalesce(nullif(target.displayName, 'unknown'), target.id)
        ), [])
    ) as privileges,
    {{ ocsf_metadata(
        "Okta", "Okta System Log", event_code="event_type", original_time="published", log_level="log_severity",
        correlation_uid="transaction_id", version="log_version"
    ) }} as metadata,

    -- What OCSF has no place for. A mapping adds the targets that it has put nowhere, and without src_endpoint and
    -- http_request `unmapped_client`.
    {{ unmapped_json({
        "actor.detailEntry": "acting.detailEntry",
        "client.zone": "client_zone",
        "client.userAgent.os": "nullif(user_agent_os, 'unknown')",
        "client.userAgent.browser": "nullif(nullif(user_agent_browser, 'unknown'), 'UNKNOWN')",
        "client.geographicalContext.state": "client_state",
        "client.geographicalContext.country": "case when client_country_code is null then client_country end",
        "request.ipChain": "case when len(ip_chain) > 1 then ip_chain end",
        "securityContext.isProxy": "is_proxy",
        "securityContext.userBehaviors": "user_behaviors",
        "securityContext.risk": "security_risk",
        "securityContext.ipDetails": "ip_details",
        "device.registered": "device_registered",
        "device.device_integrator": "device_integrator",
        "device.disk_encryption_type": "device_disk_encryption",
        "device.screen_lock_type": "device_screen_lock",
        "device.jailbreak": "device_jailbreak",
        "device.secure_hardware_present": "device_secure_hardware",
        "authenticationContext.authenticationProvider": "authentication_provider",
        "authenticationContext.authenticationStep": "nullif(authentication_step, 0)",
        "authenticationContext.credentialProvider": "credential_provider",
        "authenticationContext.credentialType": "credential_type",
        "authenticationContext.issuer.type": "issuer_type",
        "authenticationContext.interface": "authentication_interface",
        "transaction.type": "transaction_type",
        "transaction.detail": "nullif(transaction_detail, '{}')",
        "legacyEventType": "legacy_event_type",
        "debugContext.debugData": "case when request_path is null then debug_left
            else nullif(json_merge_patch(debug_data, '{\"requestUri\": null}')::varchar, '{}')::json end",
    }) }} as unmapped,
    case
        when class_uid in (0, 2004) then {{ unmapped_json({
            "client.ipAddress": "client_ip",
            "client.device": "client_device",
            "client.userAgent.rawUserAgent": "user_agent",
            "client.geographicalContext.city": "client_city",
            "client.geographicalContext.country": "client_country",
            "client.geographicalContext.postalCode": "client_postal_code",
            "client.geographicalContext.geolocation.lat": "client_lat",
            "client.geographicalContext.geolocation.lon": "client_lon",
            "securityContext.asNumber": "as_number",
            "securityContext.asOrg": "as_org",
            "securityContext.isp": "isp",
            "securityContext.domain": "client_domain",
            "debugContext.debugData": "debug_left",
        }) }}
    end as unmapped_client
from picked
