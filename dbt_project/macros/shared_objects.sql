{#- OCSF objects that mappings of several sources fill. -#}


{% macro aws_account(uid) -%}
{
      'uid': {{ uid }},
      'type_id': case when {{ uid }} is not null then 10 end,
      'type': case when {{ uid }} is not null then 'AWS Account' end
    }
{%- endmacro %}


{#- The last part of a path. -#}
{% macro windows_file_name(path) -%}
nullif(regexp_extract({{ path }}, '[^\\/]+$'), '')
{%- endmacro %}


{#- A file by its path. type_id 1 is a regular file, 8 an executable, 6 a named pipe. -#}
{% macro windows_file(path, type_id=1, extra={}) -%}
{%- set known = windows_file_name(path) ~ " is not null" -%}
{'name': {{ windows_file_name(path) }}, 'path': case when {{ known }} then {{ path }} end,
     'type_id': case when {{ known }} then {{ type_id }} end,
     'type': case when {{ known }} then {{ ocsf_caption("file_activity", "file.type_id", type_id) }} end
     {%- for name, value in extra.items() %}, '{{ name }}': {{ value }}{% endfor %}}
{%- endmacro %}


{#- OCSF's factor_type_id of the name of a way to authenticate; 99 where it may be several things, or is none. -#}
{% macro factor_type_id(name) -%}
case
      when regexp_matches({{ name }}, 'sms|text message', 'i') then 1
      when regexp_matches({{ name }}, 'security question', 'i') then 2
      when regexp_matches({{ name }}, 'phone call|voice|callback', 'i') then 3
      when regexp_matches({{ name }}, 'windows hello|biometric|platform credential', 'i') then 4
      when regexp_matches({{ name }}, 'push|app notification|phone sign-in|passwordless phone', 'i') then 5
      when regexp_matches({{ name }}, 'hardware|smart.?card|yubikey', 'i') then 6
      when regexp_matches({{ name }}, 'fido|passkey|webauthn|security key', 'i') then 10
      when regexp_matches({{ name }}, 'verification code|oath|otp|one-time|totp', 'i') then 7
      when regexp_matches({{ name }}, 'email', 'i') then 8
      when regexp_matches({{ name }}, 'password', 'i') then 11
      else 99
    end
{%- endmacro %}
