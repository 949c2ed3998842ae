{#- What reads the JSON of GuardDuty findings. The S3 export writes camelCase, the API PascalCase; both are read. -#}


{#- `a.b` as the JSON paths in both cases. -#}
{% macro guardduty_paths(path) -%}
{%- set pascal = [] -%}
{%- for step in path.split(".") -%}{%- do pascal.append(step[0] | upper ~ step[1:]) -%}{%- endfor -%}
{{ return(["$." ~ path, "$." ~ pascal | join(".")]) }}
{%- endmacro %}


{#- The text at a path of a JSON object; empty text is absence. -#}
{% macro guardduty_text(json, path) -%}
{%- set paths = guardduty_paths(path) -%}
nullif(coalesce({{ json }} ->> '{{ paths[0] }}', {{ json }} ->> '{{ paths[1] }}'), '')
{%- endmacro %}


{#- The same, NULL where GuardDuty writes a word for what it does not know. -#}
{% macro guardduty_known(json, path) -%}
nullif(nullif({{ guardduty_text(json, path) }}, 'Unknown'), '-')
{%- endmacro %}


{#- A process of Runtime Monitoring. parent: SQL of its parent as such an object, or none. -#}
{% macro guardduty_process(process, parent=none, cmd_line="null") -%}
case
      when coalesce({{ guardduty_text(process, "pid") }}, {{ guardduty_text(process, "uuid") }}) is not null then {
        'name': {{ guardduty_text(process, "name") }},
        'pid': {{ guardduty_number(process, "pid") }},
        'uid': {{ guardduty_text(process, "uuid") }},
        {%- if parent %}
        'cmd_line': {{ cmd_line }},
        'working_directory': {{ guardduty_text(process, "pwd") }},
        {%- endif %}
        'created_time': {{ guardduty_millis(guardduty_text(process, "startTime")) }},
        'file': {{ guardduty_file(guardduty_text(process, "executablePath")) }},
        'user': {
            'name': {{ guardduty_text(process, "user") }},
            'uid': {{ guardduty_text(process, "userId") }}
        }
        {%- if parent %},
        'parent_process': {{ parent }}
        {%- endif %}
      }
    end
{%- endmacro %}


{#- The elements of a list at a path, as JSON; empty where there is none. -#}
{% macro guardduty_list(json, path) -%}
{%- set paths = guardduty_paths(path) -%}
coalesce(json_extract({{ json }}, '{{ paths[0] }}[*]') || json_extract({{ json }}, '{{ paths[1] }}[*]'), [])
{%- endmacro %}


{#- The number at a path; NULL outside `within`, e.g. "0 and 65535" of a port. -#}
{% macro guardduty_number(json, path, type="integer", within=none) -%}
{%- set number = "try_cast(" ~ guardduty_text(json, path) ~ " as " ~ type ~ ")" -%}
{{ "case when " ~ number ~ " between " ~ within ~ " then " ~ number ~ " end" if within else number }}
{%- endmacro %}


{#- Latitude or longitude of a place; NULL where both are 0, which GuardDuty writes for no place. -#}
{% macro guardduty_place(json, path, name) -%}
case
      when {{ guardduty_number(json, path ~ ".lat", "double", "-180 and 180") }} <> 0
        or {{ guardduty_number(json, path ~ ".lon", "double", "-180 and 180") }} <> 0
        then {{ guardduty_number(json, path ~ "." ~ name, "double", "-180 and 180") }}
    end
{%- endmacro %}


{#- Milliseconds since 1970 of ISO text (UTC where it names no zone) or of seconds since 1970 (the API writes them). -#}
{% macro guardduty_millis(text) -%}
case
      when regexp_full_match({{ text }}, '[0-9]+([.][0-9]+)?([eE][+]?[0-9]+)?')
        then try_cast(try_cast({{ text }} as double) * 1000 as bigint)
      when regexp_matches({{ text }}, ':[0-9.]+$') then epoch_ms(try_cast({{ text }} as timestamp))
      else {{ iso_millis(text) }}
    end
{%- endmacro %}


{#- A file by its path. hash: SQL of its hash, whose length tells the algorithm. -#}
{% macro guardduty_file(path, hash=none) -%}
case when {{ path }} is not null then {
      'name': coalesce(nullif(regexp_extract({{ path }}, '([^/\\]+)[/\\]*$', 1), ''), {{ path }}),
      'path': {{ path }},
      'type_id': 1,
      'type': 'Regular File'
      {%- if hash %},
      'hashes': case when regexp_full_match({{ hash }}, '[0-9a-fA-F]+') then [{
        'algorithm_id': case length({{ hash }}) when 64 then 3 when 40 then 2 when 32 then 1 else 0 end,
        'algorithm': case length({{ hash }})
          when 64 then 'SHA-256' when 40 then 'SHA-1' when 32 then 'MD5' else 'Unknown' end,
        'value': {{ hash }}
      }] end
      {%- endif %}
    } end
{%- endmacro %}
