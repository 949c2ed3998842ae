{#- What the models of Okta share beside the columns of `models/events/okta_system_log.sql`. -#}

{% macro okta_parties(entities) -%}
  {#- Entities of an Okta event (its actor, its targets) with the user, the resource and the leftover JSON that each of
      them makes. The alternate id is the login; client applications repeat their id there. -#}
list_transform({{ entities }}, lambda entity: case when entity is not null then struct_insert(
  entity,
  login := nullif(nullif(entity.alternateId, 'unknown'), entity.id),
  "user" := {
    'name': coalesce(nullif(nullif(entity.alternateId, 'unknown'), entity.id), nullif(entity.displayName, 'unknown'),
      case when nullif(entity.id, 'unknown') is null then 'Unknown' end),
    'uid': nullif(entity.id, 'unknown'),
    'full_name': nullif(entity.displayName, 'unknown'),
    'email_addr': {{ email_or_null("entity.alternateId") }},
    'type_id': case
      when entity.type in ('User', 'AppUser') then 1
      when entity.type = 'SystemPrincipal' then 3
      when entity.type in ('PublicClientApp', 'AppInstance') then 4
      when entity.type is not null then 99
      else 0
    end,
    'type': case
      when entity.type in ('User', 'AppUser') then 'User'
      when entity.type = 'SystemPrincipal' then 'System'
      when entity.type in ('PublicClientApp', 'AppInstance') then 'Service'
      else coalesce(entity.type, 'Unknown')
    end
  },
  resource := {
    'uid': nullif(entity.id, 'unknown'),
    'name': coalesce(nullif(entity.displayName, 'unknown'), nullif(entity.alternateId, 'unknown'),
      case when nullif(entity.id, 'unknown') is null then 'Unknown' end),
    'uid_alt': case
      when entity.displayName <> 'unknown' then nullif(nullif(entity.alternateId, 'unknown'), entity.displayName)
    end,
    'type': entity.type,
    'data': case when coalesce(entity.detailEntry, entity.changeDetails) is not null
      then json_object('detailEntry', entity.detailEntry, 'changeDetails', entity.changeDetails) end
  },
  has_details := coalesce(entity.detailEntry, entity.changeDetails) is not null,
  leftover := json_merge_patch('{}', to_json(entity))
) end)
{%- endmacro %}

{% macro okta_unmapped(targets, also="'{}'") -%}
  {#- `unmapped` with these targets (a list of parties), and with further fields (JSON). -#}
json_merge_patch(coalesce(unmapped, '{}'), coalesce({{ also }}, '{}'),
      json_object('target', nullif(list_transform({{ targets }}, lambda target: target.leftover), [])))
{%- endmacro %}


{% macro okta_columns() -%}
  {#- The columns in which Microsoft Sentinel keeps events of Okta (tables Okta_CL and OktaV2_CL), as texts. -#}
  {%- set fields = {} -%}
  {%- for name in [
    "ActorDisplayName", "ActorSessionId", "ActorUserId", "ActorUsername", "DebugData",
    "EventOriginalResultDetails", "HttpUserAgent", "OriginalActorAlternateId", "OriginalClientDevice",
    "OriginalOutcomeResult", "OriginalTarget", "OriginalUserId", "OriginalUserType", "SecurityContextAsNumber",
    "SecurityContextAsOrg", "SecurityContextDomain", "SecurityContextIsProxy", "SrcGeoCity", "SrcGeoCountry",
    "SrcGeoLatitude", "SrcGeoLongitude", "SrcGeoPostalCode", "SrcGeoRegion", "SrcIpAddr",
    "SrcIsp", "SrcZone", "TransactionId", "TransactionType", "actor_alternateId_s", "actor_displayName_s",
    "actor_id_s", "actor_type_s", "authenticationContext_credentialProvider_s",
    "authenticationContext_credentialType_s", "authenticationContext_externalSessionId_s", "client_device_s",
    "client_geographicalContext_city_s", "client_geographicalContext_country_s",
    "client_geographicalContext_geolocation_lat_d", "client_geographicalContext_geolocation_lon_d",
    "client_geographicalContext_postalCode_s", "client_geographicalContext_state_s", "client_ipAddress_s",
    "client_userAgent_browser_s", "client_userAgent_os_s", "client_userAgent_rawUserAgent_s", "client_zone_s",
    "debugContext_debugData_factor_s", "debugContext_debugData_requestUri_s", "debugContext_debugData_risk_s",
    "outcome_reason_s", "outcome_result_s", "securityContext_asNumber_d", "securityContext_asOrg_s",
    "securityContext_domain_s", "securityContext_isProxy_b", "securityContext_isp_s", "target_s",
    "transaction_id_s", "transaction_type_s"
  ] -%}{%- do fields.update({name: "VARCHAR"}) -%}{%- endfor -%}
  {{ tojson(fields) }}
{%- endmacro %}

{% macro okta_value(path, other="", type="varchar") -%}
  {#- A value of the LogEvent object, else of Sentinel's columns: of the first connector, which are called as the path
      and end in their type, or of the second (`other`). Okta's `unknown` is none. -#}
  {%- set suffix = {"varchar": "s", "boolean": "b"}.get(type, "d") -%}
  {%- set found = [path] -%}
  {%- for name in [path | replace(".", "_") ~ "_" ~ suffix, other] if name -%}
    {%- do found.append('try_cast("columns".' ~ name ~ " as " ~ type ~ ")") -%}
  {%- endfor -%}
  {%- if type == "varchar" -%} nullif(coalesce({{ found | join(", ") }}), 'unknown')
  {%- else -%} coalesce({{ found | join(", ") }})
  {%- endif -%}
{%- endmacro %}
