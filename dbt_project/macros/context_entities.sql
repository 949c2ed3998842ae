{#-
  Context of machines (`reference.assets`) and accounts (`reference.identities`): who one is at the event's time.

  A subject may be called by several names, some surer than others (`step`, decided in lake/ocsf/context_plan.py). The surest
  name that fits exactly one entity of a feed wins; of an address the smallest network; of several feeds the first
  in the order of the settings. A name that fits several entities of a feed gives nothing there: never a guess.
-#}


{#- Rows (subject, id, event_hour, step, network_step, kind, names, value, domain): by what is called. -#}
{% macro context_called(asked, table) -%}
select null::integer as subject, null::bigint as id, null::timestamp as event_hour, 0 as step, 0 as network_step,
    null::varchar as kind, null::varchar[] as names, null::varchar as value, null::varchar as domain where false
  {%- for subject in asked %}{% for called in subject.called if called.table == table %}
  union all select * from (
    select {{ subject.number }} as subject, id, event_hour, {{ called.step }} as step, {{ called.network_step }} as network_step,
      '{{ called.kind }}' as kind, ['{{ called.names | join("', '") }}'] as names, {{ called.sql }} as value,
      lower(split_part({{ called.domain or 'null::varchar' }}, '.', 1)) as domain
    from context_subject_{{ subject.number }}
  ) where value is not null
  {%- endfor %}{% endfor %}
{%- endmacro %}


{#- Tables from `<table>_called` to `<table>_segment` (subject, id, event_hour, valid_from, valid_to, …: who it is, from when
    to when, at most one at any time) and `<table>_known` (lists of what is known, one row for each subject and id). -#}
{% macro context_entities(table, prefixes) -%}
{%- set names = {'assets': 'asset_names', 'identities': 'identity_names'}[table] -%}
{%- set sql -%}
select kind, value, 128::utinyint as prefix, {{ observable_high("'name'", 'text') }} as key_high, {{ observable_low("'name'", 'text') }} as key_low
from (select kind, value, {{ observable_text("'name'", 'value') }} as text from (select distinct kind, value from context_{{ table }}_called where kind = 'name'))
where text is not null
{%- if prefixes %}
union all
select 'ip', * from ({{ networks_of('context_network_address', prefixes) }})
{%- endif %}
{%- endset -%}
{{ context_table(table ~ '_key', sql) }}
{%- set sql -%}
select distinct key.kind, key.value, key.prefix, name.name_kind, name.rank, name.feed_rank, name.feed, name.entry, name.valid_from, name.valid_to
from context_{{ table }}_key as key
join reference.{{ names }} as name
  on name.key_low = key.key_low and name.key_high = key.key_high and name.prefix = key.prefix and name.kind = key.kind
{%- endset -%}
{{ context_table(table ~ '_name', sql) }}
{%- set sql -%}
select feed, entry, valid_from, valid_to, provider, learned_at, version,
  {{ 'lower(split_part(domain, \'.\', 1))' if table == 'identities' else 'null::varchar' }} as domain,
  {{ context_asset_data() if table == 'assets' else context_identity_data() }} as data,
  {{ context_asset_known() if table == 'assets' else context_identity_known() }} as known
from reference.{{ table }}
where (feed, entry) in (select (feed, entry) from context_{{ table }}_name)
{%- endset -%}
{{ context_table(table ~ '_row', sql) }}
{%- set sql -%}
select called.subject, called.id, called.event_hour, called.value,
  case when name.prefix < 128 then called.network_step else called.step end as step, name.prefix, name.rank, name.feed_rank, name.feed, name.entry,
  greatest(name.valid_from, entity.valid_from) as valid_from, least(name.valid_to, entity.valid_to) as valid_to,
  {'learned_at': entity.learned_at, 'valid_from': entity.valid_from, 'version': entity.version, 'data': entity.data,
    'value': called.value, 'provider': entity.provider, 'known': entity.known} as entity
from context_{{ table }}_called as called
join context_{{ table }}_name as name
  on name.kind = called.kind and name.value = called.value and list_contains(called.names, name.name_kind)
join context_{{ table }}_row as entity on entity.feed = name.feed and entity.entry = name.entry
where greatest(name.valid_from, entity.valid_from) < least(name.valid_to, entity.valid_to, called.event_hour + interval 1 hour)
  and least(name.valid_to, entity.valid_to) > called.event_hour
  and (called.domain is null or entity.domain is null or called.domain = entity.domain)
{%- endset -%}
{{ context_table(table ~ '_hit', sql) }}
{%- set sql -%}
select subject, id, event_hour, since, lead(since, 1, event_hour + interval 1 hour) over (partition by subject, id order by since) as until
from (
  select subject, id, event_hour, greatest(valid_from, event_hour) as since from context_{{ table }}_hit
  union select subject, id, event_hour, valid_to from context_{{ table }}_hit where valid_to < event_hour + interval 1 hour
)
{%- endset -%}
{{ context_table(table ~ '_turn', sql) }}
{%- set sql -%}
select subject, id, event_hour, since as valid_from, until as valid_to, entity.value, entity.provider, entity.learned_at,
  entity.data, entity.known, 1 as place
from (
  select turn.subject, turn.id, turn.event_hour, turn.since, turn.until, hit.step, hit.prefix, hit.rank, hit.feed_rank, hit.feed,
    min(hit.entry) = max(hit.entry) as is_sure, max(hit.entity) as entity
  from context_{{ table }}_turn as turn
  join context_{{ table }}_hit as hit
    on hit.subject = turn.subject and hit.id = turn.id and hit.valid_from <= turn.since and hit.valid_to > turn.since
  group by all
)
where is_sure
qualify row_number() over (partition by subject, id, since order by step, prefix desc, rank, feed_rank, feed) = 1
{%- endset -%}
{{ context_table(table ~ '_segment', sql) }}
{%- set sql -%}
select subject, id, {{ context_lists('known', '') }}
from context_{{ table }}_segment as found
group by subject, id
{%- endset -%}
{{ context_table(table ~ '_known', sql) }}
{%- endmacro %}


{#- Rows of `entry`. -#}
{% macro context_entity_entries(table, asked) -%}
select subject, id, event_hour, valid_from, valid_to, {{ {'assets': 20, 'identities': 21}[table] }},
    case subject{% for subject in asked %} when {{ subject.number }} then '{{ subject.path }}'{% endfor %} end,
    '{{ {'assets': 'asset', 'identities': 'identity'}[table] }}', value, provider, epoch_ms(learned_at), data, null
  from context_{{ table }}_segment
{%- endmacro %}


{% macro context_asset_data() -%}
{{ context_json({
    'uid': 'uid', 'name': 'name', 'role': 'role', 'type': 'type', 'os': 'os', 'owner': 'owner', 'administrators': 'administrators',
    'department': 'department', 'environment': 'environment', 'criticality': 'criticality', 'location': 'location',
    'tags': 'tags', 'status': 'status', 'feed': 'feed', 'version': 'version',
    'valid_from': context_time('valid_from'), 'learned_at': context_time('learned_at'),
  }) }}
{%- endmacro %}

{% macro context_identity_data() -%}
{{ context_json({
    'uid': 'uid', 'username': 'username', 'full_name': 'full_name', 'title': 'title', 'department': 'department', 'manager': 'manager',
    'employment_type': 'employment_type', 'is_privileged': 'is_privileged', 'groups': 'groups', 'office': 'office',
    'tags': 'tags', 'status': 'status', 'feed': 'feed', 'version': 'version',
    'valid_from': context_time('valid_from'), 'learned_at': context_time('learned_at'),
  }) }}
{%- endmacro %}

{#- What may fill places of a machine. Names of types by OCSF (endpoint.type_id); others stand as the CMDB writes them. -#}
{% macro context_asset_known() -%}
{%- set types = {
    'server': [1, 'Server'], 'desktop': [2, 'Desktop'], 'workstation': [2, 'Desktop'], 'laptop': [3, 'Laptop'], 'notebook': [3, 'Laptop'],
    'tablet': [4, 'Tablet'], 'mobile': [5, 'Mobile'], 'phone': [5, 'Mobile'], 'virtual': [6, 'Virtual'], 'virtual machine': [6, 'Virtual'],
    'iot': [7, 'IOT'], 'firewall': [9, 'Firewall'], 'switch': [10, 'Switch'], 'hub': [11, 'Hub'], 'router': [12, 'Router'],
    'ids': [13, 'IDS'], 'ips': [14, 'IPS'], 'load balancer': [15, 'Load Balancer'],
  } -%}
{'hostname': coalesce(list_filter(hostnames, lambda each: contains(each, '.'))[1], hostnames[1]), 'name': name, 'owner': owner,
      'type_id': case lower(type){% for text, known in types.items() %} when '{{ text }}' then {{ known[0] }}{% endfor %} else case when type is not null then 99 end end,
      'type': case lower(type){% for text, known in types.items() %} when '{{ text }}' then '{{ known[1] }}'{% endfor %} else type end}
{%- endmacro %}

{#- What may fill places of an account. -#}
{% macro context_identity_known() -%}
{%- set is_service = "coalesce(contains(lower(employment_type), 'service'), false)" -%}
{'full_name': full_name, 'email_addr': {{ email_or_null('emails[1]') }}, 'groups': groups, 'employee_uid': uid, 'department': department,
      'job_title': title, 'office_location': office, 'manager': manager,
      'type_id': case when {{ is_service }} then 4 when is_privileged then 2 else 1 end,
      'type': case when {{ is_service }} then 'Service' when is_privileged then 'Admin' else 'User' end}
{%- endmacro %}
