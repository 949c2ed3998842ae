{#-
  Context of observables from lists: indicators of compromise (`reference.indicators`) and warning lists
  (`reference.warning_lists`: cloud ranges, public resolvers, …).

  An event gets the indicators that were known at its time: learned by then, and valid then. What is learned later is
  found by the search over the lake's past (gold.threat_matches). Warning lists explain an address whenever they were
  learned.
-#}


{#- Tables `<table>_key` (those of the keys that an observable is looked up by which the list holds) and `<table>_hit` (kind,
    value, and the list's row). Keys are held against keys alone first, for few are held: what a list says is read of those. -#}
{% macro context_listed(table, kinds) -%}
{%- set sql -%}
with key as (
  {%- if 'ip' in kinds %}
  select 'ip' as kind, *, false as is_parent from ({{ networks_of('context_network_address', kinds['ip']) }})
  union all
  {%- endif %}
  select kind, value, 128::utinyint as prefix, key_high, key_low, false as is_parent
  from context_observable where kind in ('{{ kinds | join("', '") }}')
  {%- if table == 'warning_lists' and 'domain' in kinds %}
  union all
  select 'domain', value, 128, {{ observable_high("'domain'", 'parent') }}, {{ observable_low("'domain'", 'parent') }}, true
  from (
    select value, unnest(list_transform(range(2, len(string_split(text, '.')) + 1),
      lambda part: array_to_string(string_split(text, '.')[part:], '.'))) as parent
    from context_observable where kind = 'domain' and contains(text, '.')
  )
  {%- endif %}
)
select distinct key.* from key join reference.{{ table }} as list using (key_low, key_high, prefix, kind)
{%- endset -%}
{{ context_table(table ~ '_key', sql) }}
{%- set sql -%}
select distinct key.kind, key.value, {{ context_listed_columns(table) }}
from context_{{ table }}_key as key
join reference.{{ table }} as list
  on list.key_low = key.key_low and list.key_high = key.key_high and list.prefix = key.prefix and list.kind = key.kind
{%- if table == 'warning_lists' %}
where not key.is_parent or list.covers_subdomains
{%- endif %}
{%- endset -%}
{{ context_table(table ~ '_hit', sql) }}
{%- endmacro %}

{% macro context_listed_columns(table) -%}
{%- set known = "greatest(list.valid_from, list.learned_at)" if table == 'indicators' else "list.valid_from" -%}
list.value as listed, list.prefix, {{ known }} as valid_from, list.valid_to, list.provider, list.feed, list.learned_at,
    list.name, list.category, {{ context_indicator_data() if table == 'indicators' else context_warning_data() }} as data
    {%- if table == 'indicators' %}, {{ context_osint() }} as osint{% endif %}
{%- endmacro %}

{% macro context_indicator_data() -%}
{{ context_json({
    'indicator': 'list.value', 'kind': 'list.kind', 'name': 'list.name', 'category': 'list.category', 'malware': 'list.malware',
    'threat_actor': 'list.threat_actor', 'confidence': 'list.confidence', 'severity': 'list.severity', 'tlp': 'list.tlp', 'uid': 'list.uid',
    'feed': 'list.feed', 'version': 'list.version', 'valid_from': context_time('list.valid_from'), 'learned_at': context_time('list.learned_at'),
  }) }}
{%- endmacro %}

{% macro context_warning_data() -%}
{{ context_json({
    'name': 'list.name', 'category': 'list.category', 'network': 'list.value', 'feed': 'list.feed', 'version': 'list.version',
    'valid_from': context_time('list.valid_from'), 'learned_at': context_time('list.learned_at'),
  }) }}
{%- endmacro %}


{#- SELECT of what was found for the observables of `asked`, of the hour of each. -#}
{% macro context_listed_found(table, columns) -%}
select asked.subject, asked.id, asked.event_hour, hit.valid_from, hit.valid_to, {{ columns }}
  from context_asked as asked join context_{{ table }}_hit as hit on hit.kind = asked.kind and hit.value = asked.value
  where hit.valid_from < hit.valid_to and hit.valid_from < asked.event_hour + interval 1 hour and hit.valid_to > asked.event_hour
{%- endmacro %}

{#- Rows of `entry`. -#}
{% macro context_listed_entries(table) -%}
{%- set type = {'indicators': 'threat_intelligence', 'warning_lists': 'warning_list'}[table] -%}
{{ context_listed_found(table, ({'indicators': 30, 'warning_lists': 31}[table]) ~ ", asked.path, '" ~ type
    ~ "', asked.value, hit.provider, epoch_ms(hit.learned_at), hit.data, null") }}
{%- endmacro %}

{#- Rows for `osint`, once for each indicator however many attributes it was found in. -#}
{% macro context_osint_entries() -%}
select distinct * from ({{ context_listed_found('indicators', "hit.osint, row(asked.path, hit.provider, hit.listed, hit.data) as place") }})
{%- endmacro %}


{#- One element of `osint`. Severities and TLP colours that OCSF does not name are left out; confidence 0-100 by thirds. -#}
{% macro context_osint() -%}
{%- set types = {'ip': [1, 'IP Address'], 'domain': [2, 'Domain'], 'hash': [4, 'Hash'], 'url': [5, 'URL'],
    'email': [9, 'Email Address'], 'cve': [10, 'Vulnerability']} -%}
{%- set severities = {'informational': [1, 'Informational'], 'info': [1, 'Informational'], 'low': [2, 'Low'], 'medium': [3, 'Medium'],
    'high': [4, 'High'], 'critical': [5, 'Critical'], 'fatal': [6, 'Fatal']} -%}
{'value': list.value,
      'type': case list.kind{% for kind, type in types.items() %} when '{{ kind }}' then '{{ type[1] }}'{% endfor %} else 'Other' end,
      'type_id': case list.kind{% for kind, type in types.items() %} when '{{ kind }}' then {{ type[0] }}{% endfor %} else 99 end,
      'uid': list.uid, 'name': list.name, 'desc': list.description, 'category': list.category, 'vendor_name': list.provider,
      'confidence': list.confidence::varchar,
      'confidence_id': case when list.confidence <= 33 then 1 when list.confidence <= 66 then 2 when list.confidence <= 100 then 3 end,
      'severity': case lower(list.severity){% for text, known in severities.items() %} when '{{ text }}' then '{{ known[1] }}'{% endfor %} end,
      'severity_id': case lower(list.severity){% for text, known in severities.items() %} when '{{ text }}' then {{ known[0] }}{% endfor %} end,
      'tlp': case when upper(list.tlp) in ('RED', 'AMBER', 'GREEN', 'CLEAR', 'WHITE') then upper(list.tlp)
        when regexp_full_match(upper(list.tlp), 'AMBER.STRICT') then 'AMBER STRICT' end,
      'labels': case when len(list.labels) > 0 then list_filter(list.labels, lambda each: each is not null) end,
      'threat_actor': case when list.threat_actor is not null then {'name': list.threat_actor, 'type_id': 0} end,
      'src_url': list.src_url, 'created_time': epoch_ms(list.valid_from), 'uploaded_time': epoch_ms(list.learned_at),
      'expiration_time': case when list.valid_to < timestamp '9999-12-31' then epoch_ms(list.valid_to) end}
{%- endmacro %}
