{#- The objects that every mapping of the Okta System Log shares, from the columns of okta_system_log. Okta writes
    `unknown` where it has no value. Kinds of actors and targets: Okta's LogEvent object and event type catalogue
    (developer.okta.com). -#}


{#- The first target of a kind. -#}
{% macro okta_target(type) -%}
list_filter(targets, lambda entity: entity.type = '{{ type }}')[1]
{%- endmacro %}


{#- The columns that every class of Okta events fills in the same way. `taken`: entities that the mapping has put
    somewhere. The other targets are left over, or resources when `others` says so. `further`: more leftover fields. -#}
{% macro okta_event(taken=[], others="unmapped", further={}) -%}
    {{ okta_severity() }},
    display_message as message,
    outcome_result as status_code,
    outcome_reason as status_detail,
    {{ okta_control() }},
    metadata,
    {{ okta_device() }} as device,
    {{ okta_unmapped(taken, others, further) }} as unmapped
{%- endmacro %}


{% macro okta_severity() -%}
case
      when severity in ('DEBUG', 'INFO') then 1
      when severity = 'WARN' then 3
      when severity = 'ERROR' then 4
      when severity is not null then 99
      else 0
    end as severity_id,
    case when severity not in ('DEBUG', 'INFO', 'WARN', 'ERROR') then severity end as severity
{%- endmacro %}


{#- A challenge, a skipped or a deferred step is neither success nor failure: it keeps Okta's word. -#}
{% macro okta_status() -%}
case
      when outcome_result in ('SUCCESS', 'ALLOW') then 1
      when outcome_result in ('FAILURE', 'DENY', 'UNANSWERED', 'ABANDONED', 'RATE_LIMIT') then 2
      when outcome_result in ('SKIPPED', 'CHALLENGE', 'DEFERRED', 'SCHEDULED') then 99
      else 0
    end as status_id,
    case when outcome_result in ('SKIPPED', 'CHALLENGE', 'DEFERRED', 'SCHEDULED') then outcome_result end as status
{%- endmacro %}


{#- What a policy decided, and the risk that Okta saw. -#}
{% macro okta_control() -%}
case outcome_result when 'ALLOW' then 1 when 'DENY' then 2 end as action_id,
    case outcome_result when 'ALLOW' then 1 when 'DENY' then 2 when 'CHALLENGE' then 23 end as disposition_id,
    case upper({{ okta_risk_level() }}) when 'LOW' then 1 when 'MEDIUM' then 2 when 'HIGH' then 3 when 'CRITICAL' then 4 end as risk_level_id
{%- endmacro %}

{#- Risk is written `{level=LOW, reasons=…}` in debug data and as JSON elsewhere. -#}
{% macro okta_risk_level() -%}
regexp_extract(coalesce(security_risk::varchar, debug_data ->> 'risk', debug_data ->> 'logOnlySecurityData'), '\blevel"?[=:]\s*"?([A-Za-z]+)', 1)
{%- endmacro %}


{#- The alternate id is the login; client applications repeat their id there. -#}
{% macro okta_login(entity) -%}
nullif(nullif({{ entity }}.alternateId, 'unknown'), {{ entity }}.id)
{%- endmacro %}


{#- A user from an actor or a target. `required`: an attribute that OCSF asks for, so somebody unknown is named so. -#}
{% macro okta_user(entity, required=false) -%}
{
      'name': coalesce({{ okta_login(entity) }}, nullif({{ entity }}.displayName, 'unknown'),
        case when {{ "true" if required else entity ~ ".type is not null" }} and nullif({{ entity }}.id, 'unknown') is null then 'Unknown' end),
      'uid': nullif({{ entity }}.id, 'unknown'),
      'full_name': nullif({{ entity }}.displayName, 'unknown'),
      'email_addr': {{ email_or_null(entity ~ ".alternateId") }},
      'type_id': case
        when {{ entity }}.type in ('User', 'AppUser') then 1
        when {{ entity }}.type = 'SystemPrincipal' then 3
        when {{ entity }}.type in ('PublicClientApp', 'AppInstance') then 4
        when {{ entity }}.type is not null then 99
        {%- if required %}
        else 0
        {%- endif %}
      end,
      'type': case
        when {{ entity }}.type in ('User', 'AppUser') then 'User'
        when {{ entity }}.type = 'SystemPrincipal' then 'System'
        when {{ entity }}.type in ('PublicClientApp', 'AppInstance') then 'Service'
        {%- if required %}
        else coalesce({{ entity }}.type, 'Unknown')
        {%- else %}
        else {{ entity }}.type
        {%- endif %}
      end
    }
{%- endmacro %}


{#- Who did it, in which session, with which OAuth client. -#}
{% macro okta_actor(required=false) -%}
{
    'user': {{ okta_user("actor", required) }},
    'session': {{ okta_session() }},
    'app_uid': client_id
  }
{%- endmacro %}

{% macro okta_session() -%}
{'uid': session_id, 'uid_alt': nullif(root_session_id, session_id), 'issuer': issuer_id}
{%- endmacro %}


{#- From where. `required`: OCSF asks for it. -#}
{% macro okta_src_endpoint(required=false) -%}
{
      'ip': client_ip,
      'name': case when coalesce(client_ip, client_domain) is null
        {%- if not required %} and coalesce(client_device, client_city, client_country_code, client_postal_code, as_org, isp, as_number::varchar, ip_chain[1].ip) is not null{% endif %} then 'Unknown' end,
      'domain': client_domain,
      'type_id': {{ okta_device_type_id() }},
      'type': client_device,
      'isp': isp,
      'location': case when coalesce(client_city, client_country_code, client_postal_code) is not null then {
        'city': client_city, 'country': client_country_code, 'postal_code': client_postal_code, 'lat': client_lat, 'long': client_lon
      } end,
      'autonomous_system': {'number': as_number, 'name': as_org},
      'intermediate_ips': nullif(list_filter(
        list_transform(ip_chain, lambda hop: {{ ip_or_null("hop.ip") }}), lambda ip: ip is not null and ip is distinct from client_ip), [])
    }
{%- endmacro %}

{#- Okta's Computer may be a desktop or a laptop. -#}
{% macro okta_device_type_id() -%}
case client_device when 'Mobile' then 5 when 'Tablet' then 4 when 'Unknown' then 0 else case when client_device is not null then 99 end end
{%- endmacro %}


{#- The registered device of Okta Verify or device trust. -#}
{% macro okta_device() -%}
case when coalesce(device_id, device_name) is not null then {
      'uid': device_id,
      'name': device_name,
      'type_id': coalesce({{ okta_device_type_id() }}, 0),
      'type': coalesce(client_device, 'Unknown'),
      'os': case when device_os is not null then {
        'name': device_os, 'version': device_os_version, 'type_id': {{ okta_os_type_id() }}, 'type': coalesce({{ ocsf_caption("base_event", "device.os.type_id", "nullif(" ~ okta_os_type_id() ~ ", 99)") }}, device_os)
      } end,
      'is_managed': device_managed
    } end
{%- endmacro %}

{% macro okta_os_type_id() -%}
case upper(device_os) when 'WINDOWS' then 100 when 'ANDROID' then 201 when 'OSX' then 300 when 'MACOS' then 300 when 'IOS' then 301
          when 'LINUX' then 200 else 99 end
{%- endmacro %}


{% macro okta_http_request() -%}
{'user_agent': user_agent, 'url': {'path': case when starts_with(debug_data ->> 'requestUri', '/') then debug_data ->> 'requestUri' end}}
{%- endmacro %}


{% macro okta_policy() -%}
{'name': target_policy.displayName, 'uid': target_policy.id, 'type': target_policy.detailEntry ->> 'policyType'}
{%- endmacro %}


{#- Factors: the authenticators of the event, else the factor of the debug data, else the kind of credential. -#}
{% macro okta_auth_factors() -%}
list_transform(
      list_transform(
        list_filter(
          coalesce(
            nullif(list_transform(target_authenticators, lambda entity: nullif(entity.displayName, 'unknown')), []),
            [coalesce(debug_data ->> 'factor', case when credential_type in ('OTP', 'SMS', 'PASSWORD', 'EMAIL') then credential_type end)]
          ),
          lambda name: name is not null
        ),
        lambda name: {'name': name, 'type_id': {{ okta_factor_type_id("name") }}}
      ),
      lambda factor: {
        'factor_type_id': factor.type_id,
        'factor_type': coalesce({{ ocsf_caption("authentication", "auth_factors.factor_type_id", "nullif(factor.type_id, 99)") }}, factor.name),
        'provider': credential_provider
      }
    )
{%- endmacro %}

{#- Names of authenticators and of factors (`Security Key or Biometric` is WebAuthn). One that may be several things,
    like Okta Verify or Phone, stays Other under its name. -#}
{% macro okta_factor_type_id(name) -%}
case
          when regexp_matches({{ name }}, 'push', 'i') then 5
          when regexp_matches({{ name }}, 'webauthn|security key|passkey', 'i') then 10
          when regexp_matches({{ name }}, 'u2f', 'i') then 9
          when regexp_matches({{ name }}, 'yubikey|rsa_token|rsa securid', 'i') then 6
          when regexp_matches({{ name }}, 'question', 'i') then 2
          when regexp_matches({{ name }}, 'sms', 'i') then 1
          when regexp_matches({{ name }}, 'call|voice', 'i') then 3
          when regexp_matches({{ name }}, 'email', 'i') then 8
          when regexp_matches({{ name }}, 'password', 'i') then 11
          when regexp_matches({{ name }}, 'otp|soft_token|google authenticator', 'i') then 7
          else 99
        end
{%- endmacro %}


{#- Everything on which it was done, as resources. -#}
{% macro okta_resources(entities) -%}
list_transform({{ entities }}, lambda entity: {
      'uid': nullif(entity.id, 'unknown'),
      'name': coalesce(nullif(entity.displayName, 'unknown'), nullif(entity.alternateId, 'unknown'),
        case when nullif(entity.id, 'unknown') is null then 'Unknown' end),
      'uid_alt': case when entity.displayName <> 'unknown' then nullif(nullif(entity.alternateId, 'unknown'), entity.displayName) end,
      'type': entity.type,
      'data': case when coalesce(entity.detailEntry, entity.changeDetails) is not null
        then json_object('detailEntry', entity.detailEntry, 'changeDetails', entity.changeDetails) end
    })
{%- endmacro %}


{#- Administrator roles and scopes that an event names; otherwise `kind` says what was given. -#}
{% macro okta_privileges(kind="'Unknown'") -%}
coalesce(
      string_split(nullif(coalesce(debug_data ->> 'privilegeGranted', debug_data ->> 'privilegeRevoked', debug_data ->> 'grantedScopes'), ''), ', '),
      nullif(list_transform(list_filter(targets, lambda entity: entity.type in ('ROLE', 'Role')),
        lambda entity: coalesce(nullif(entity.displayName, 'unknown'), entity.id)), []),
      [{{ kind }}]
    )
{%- endmacro %}


{#- Pivots of an Okta event; `further` are observables that only one class has, `ip_attribute` is where the address is. -#}
{% macro okta_observables(further=[], ip_attribute="src_endpoint.ip") -%}
{{ observables([
      observable("actor.user.name", 4, okta_login("actor")),
      observable("actor.user.uid", 31, "nullif(actor.id, 'unknown')"),
      observable(ip_attribute, 2, "client_ip"),
    ] + further) }}
{%- endmacro %}


{#- Those of the user that an event is about. -#}
{% macro okta_user_observables(entity) -%}
{{ return([
      observable("user.name", 4, okta_login(entity)),
      observable("user.uid", 31, "nullif(" ~ entity ~ ".id, 'unknown')"),
    ]) }}
{%- endmacro %}


{#- Fields without an attribute in OCSF. A target that was taken stays when it has details. -#}
{% macro okta_unmapped(taken, others, further) -%}
{%- set fields = {
      "actor.detailEntry": "actor.detailEntry",
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
      "debugContext.debugData": okta_debug_left("case when starts_with(debug_data ->> 'requestUri', '/') then json_merge_patch(debug_data, '{\"requestUri\": null}') else debug_data end"),
    } -%}
{%- do fields.update({"target": okta_left_targets(taken, others)}) -%}
{%- do fields.update(further) -%}
{{ unmapped_json(fields) }}
{%- endmacro %}

{% macro okta_left_targets(taken, others) -%}
{%- set details = "coalesce(entity.detailEntry, entity.changeDetails) is not null" -%}
nullif(list_transform(
{%- if others == "resources" -%}
list_filter([{{ taken | join(", ") }}], lambda entity: {{ details }})
{%- elif taken -%}
list_filter(targets, lambda entity: not list_contains([{{ taken | join(", ") }}], entity) or {{ details }})
{%- else -%}
targets
{%- endif -%}
, lambda entity: json_merge_patch('{}', to_json(entity))), [])
{%- endmacro %}


{% macro okta_debug_left(data) -%}
case when debug_data is null then to_json(debug_text) else nullif(({{ data }})::varchar, '{}')::json end
{%- endmacro %}


{#- What a class without src_endpoint and http_request leaves over of the client and the request. -#}
{% macro okta_client_fields() -%}
{{ return({
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
      "debugContext.debugData": okta_debug_left("debug_data"),
    }) }}
{%- endmacro %}
