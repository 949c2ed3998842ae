{#- Reading `enrichments` in analysts' SQL. DuckDB's own: list functions with lambdas, and ->> over JSON. -#}


{#- Text of `field` in the `data` of the first enrichment of this name and type; NULL when there is none.
    name: 'user', 'src_endpoint', 'src_endpoint.ip', …; '' for any.
    type: location, autonomous_system, isp, anonymous_ip, asset, identity, threat_intelligence, warning_list,
    reputation, pending. field: a key of `data` ('department'), a path ('tags[0]'), or value, provider, created_time
    of the entry.
    events: alias of the table, where several have enrichments. -#}
{% macro enrichment(name, type, field, events='') -%}
{%- set first = enrichments_of(name, type, events) ~ "[1]" -%}
{%- if field in ('value', 'provider', 'created_time') -%}
({{ first }}).{{ field }}
{%- else -%}
(({{ first }}).data ->> '$.{{ field }}')
{%- endif -%}
{%- endmacro %}


{#- The texts of a list in `data` (tags, groups, administrators), as VARCHAR[]; empty when there is none. -#}
{% macro enrichment_list(name, type, field, events='') -%}
coalesce(from_json(({{ enrichments_of(name, type, events) }}[1]).data -> '$.{{ field }}', '["VARCHAR"]'), [])
{%- endmacro %}


{#- All enrichments of this name ('' for any) and type, as they stand in `enrichments`. -#}
{% macro enrichments_of(name, type, events='') -%}
list_filter(
      {{ events ~ '.' if events }}enrichments,
      lambda each: each.type = '{{ type }}'{{ " and each.name = '" ~ name ~ "'" if name }})
{%- endmacro %}


{#- Text of `field` of what a provider said of an attribute; NULL when it said nothing (yet).
    name: 'src_endpoint.ip', …; '' for any. provider: as the settings name it. field: a key of `data` ('confidence',
    'status'), or score, score_id of its reputation. events: alias of the table, where several have enrichments. -#}
{% macro looked_up(name, provider, field, events='') -%}
{%- set all = enrichments_of(name, 'reputation', events) -%}
{%- set first = "list_filter(" ~ all ~ ", lambda each: each.provider = '" ~ provider ~ "')[1]" -%}
{%- if field == 'score' -%}
(({{ first }}).reputation.base_score::varchar)
{%- elif field == 'score_id' -%}
(({{ first }}).reputation.score_id::varchar)
{%- else -%}
(({{ first }}).data ->> '$.{{ field }}')
{%- endif -%}
{%- endmacro %}
