{#- What models of audit logs of online services (Slack, GitHub, Google Workspace, …) share. -#}

{% macro audit_events(source, staging, operation="event_type") -%}
  {#- The SELECT that begins an events model: each staged event with its route and outcome, `routed_activity_id`, NULL
      where the verb decides (`verb_activity`), and `event_words`, those of the operation's name. Without a route an
      event is a Base Event. -#}
select
    event.*,
    coalesce(route.class_uid, 0) as routed_class_uid,
    route.activity_id as routed_activity_id,
    null::varchar as filter,
    case
        when repeated.number > 1 then 'duplicate'
        when filter is not null then 'filtered'
        else 'published'
    end as outcome,
    coalesce(repeated.is_collision and repeated.number = 1, false) as collision,
    case when outcome = 'published' then routed_class_uid end as class_uid, -- mappings select by it
    {{ words_of("event." ~ operation) }} as event_words
from {{ staging }} as event
left join {{ routes(source, staging) }} as route using (event_type)
left join {{ repeated_keys(source, staging) }} as repeated
    using (_batch, _source_object, _source_row)
{%- endmacro %}

{% macro words_of(text) -%}
  {#- `repo.addMember`, `REPO_ADD_MEMBER` → `repo add member`. -#}
lower(regexp_replace(regexp_replace({{ text }}, '([a-z0-9])([A-Z])', '\1 \2', 'g'), '[^A-Za-z0-9]+', ' ', 'g'))
{%- endmacro %}

{% macro verb_activity(words) -%}
  {#- What an operation does to its object, by the verbs of its name (`words_of`): 1 Create, 2 Read, 3 Update, 4 Delete
      of API Activity, else 99 Other. -#}
case
        when regexp_matches({{ words }},
            '\b(delete|remove|destroy|revoke|uninstall|purge|erase|unlink|drop|dismiss|unenroll)(d|s|ed|ped|ing)?\b'
            || '|\b(del|deletion|removal|unregister(ed)?)\b') then 4
        when regexp_matches({{ words }},
            '\b(create|add|invite|install|generate|register|enroll|upload|issue|publish|post|send|grant|insert|fork)'
            || '(d|s|ed|led|ing)?\b|\b(sent|creation|import(ed)?|merge[ds]?|submit(ted)?|push(ed)?)\b') then 1
        when regexp_matches({{ words }},
            '\b(update|change|edit|modify|modifie|set|enable|disable|rename|move|transfer|convert|approve|restrict|'
            || 'reset|rotate|restore|archive|unarchive|suspend|unsuspend|lock|unlock|block|unblock|assign|unassign|'
            || 'reassign|configure|activate|deactivate|toggle|replace|override|accept|decline|cancel|reject|allow|'
            || 'disallow|expand|connect|disconnect|renew|regenerate|reopen|close|start|stop|schedule|link|verify|'
            || 'enforce|trust|untrust|manage|switch|upgrade|downgrade)'
            || '(d|s|ed|led|red|ting|ing)?\b|\b(verified|modification|transferred|put|patch(ed)?|rollover)\b') then 3
        when regexp_matches({{ words }},
            '\b(read|view|get|list|download|export|search|open|preview|query|show|fetch|clone|access|lookup|reveal|'
            || 'print)(d|s|ed|ing)?\b|\b(queried)\b') then 2
        else 99
    end
{%- endmacro %}

{% macro address_text(text) -%}
  {#- The address in a text, without a port, brackets and what follows a comma: `1.2.3.4:443`, `[2001:db8::1]:443`,
      `<eight groups>#443`, `1.2.3.4, 10.0.0.1`. Texts that are no address stay: `ip_or_null` tells. -#}
{%- set first = "trim(split_part(" ~ text ~ ", ',', 1))" -%}
regexp_replace(regexp_replace({{ first }}, '{{ _address_with_port() }}', '\1\2'), '^\[([^\]]*)\]$', '\1')
{%- endmacro %}

{% macro address_port(text) -%}
  {#- The port behind an address in a text; NULL without one. -#}
{%- set first = "trim(split_part(" ~ text ~ ", ',', 1))" -%}
{%- set port = "try_cast(regexp_extract(" ~ first ~ ", '" ~ _address_with_port() ~ "', 3) as integer)" -%}
case when {{ port }} between 0 and 65535 then {{ port }} end
{%- endmacro %}

{% macro _address_with_port() -%}
  {#- An address of IPv6 in brackets or of all eight groups (1; RFC 5952, 6), or of IPv4 (2), and a port (3). -#}
{%- set ipv4 = "(?:[0-9]{1,3}[.]){3}[0-9]{1,3}" -%}
{%- set ipv6 = "(?:[0-9A-Fa-f]{1,4}:){7}[0-9A-Fa-f]{1,4}" -%}
^(?:(\[[^\]]*\]|{{ ipv6 }})(?::|#|p| port |[.])|((?:::ffff:)?{{ ipv4 }})(?::|#| port ))([0-9]{1,5})$
{%- endmacro %}

{% macro client_endpoint(place="null::varchar", attributes={}) -%}
  {#- `src_endpoint` of `client_ip` and `client_port`. Classes that want an endpoint get an unknown one where an event
      names none. `place`: what is known of it besides, by which it is one. -#}
case
        when coalesce(client_ip, {{ place }}) is not null or class_uid in (6003, 6006) then {
            'ip': client_ip,
            'port': client_port,
            'name': case when client_ip is null then 'Unknown' end
            {%- for name, value in attributes.items() %},
            '{{ name }}': {{ value }}
            {%- endfor %}
        }
    end
{%- endmacro %}

{% macro country_code_or_null(text) -%}
  {#- The text if it is a country's code of two letters, as OCSF wants it. -#}
case when regexp_full_match({{ text }}, '[A-Za-z]{2}') then upper({{ text }}) end
{%- endmacro %}
