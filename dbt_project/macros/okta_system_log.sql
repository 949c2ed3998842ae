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
