{#- What the mappings of Windows events share: reading an event's data, and the objects that many of them fill. -#}


{#- Event data that a collector keeps together (winlogbeat, evtx exports) as one STRUCT of texts, parsed once a row. -#}
{% macro windows_event_data() -%}
{%- set fields = {} -%}
{%- for name, type in bronze_types()["windows_event"] if type == "VARCHAR" -%}{%- do fields.update({name: "VARCHAR"}) -%}{%- endfor -%}
json_transform(EventData, '{{ tojson(fields) }}')
{%- endmacro %}


{#- One field of the event data as text: beside the header (NXLog, Export-WinEvents) or kept together. Windows writes `-`
    where it has nothing to say. -#}
{% macro event_value(name) -%}
nullif(nullif(trim(coalesce({{ name }}, event_data_fields.{{ name }})), '-'), '')
{%- endmacro %}


{#- The same for a field that the contract does not declare: read from the record itself. For rare events only. -#}
{% macro undeclared_value(name) -%}
nullif(nullif(trim(coalesce(json_extract_string(event_data, '$.{{ name }}'), json_extract_string(_raw, '$.{{ name }}'))), '-'), '')
{%- endmacro %}


{#- The computer on which the event happened. -#}
{% macro windows_device() -%}
{'hostname': computer_name, 'type_id': 0, 'type': 'Unknown', 'os': {'name': 'Windows', 'type_id': 100, 'type': 'Windows'}}
{%- endmacro %}


{#- An account by name and SID. `S-1-0-0` stands for nobody. Kinds follow the SID (well-known SIDs, Microsoft Learn):
    S-1-5-18 and computer accounts are System, S-1-5-19, -20 and S-1-5-80-… Service, the RID 500 is the built-in Admin. -#}
{% macro windows_user(name, sid="null::varchar", domain="null::varchar") -%}
{%- set uid = "nullif(" ~ sid ~ ", 'S-1-0-0')" -%}
{%- set type_id = "case when coalesce(" ~ name ~ ", " ~ uid ~ ") is null then null when " ~ sid ~ " = 'S-1-5-18' or " ~ name ~ " like '%$' or " ~ name ~ " like '%$@%' then 3 when " ~ sid
    ~ " in ('S-1-5-19', 'S-1-5-20') or starts_with(" ~ sid ~ ", 'S-1-5-80-') then 4 when upper(" ~ domain ~ ") = 'NT AUTHORITY' and upper(" ~ name
    ~ ") = 'SYSTEM' then 3 when upper(" ~ domain ~ ") = 'NT AUTHORITY' and upper(" ~ name ~ ") in ('LOCAL SERVICE', 'NETWORK SERVICE') then 4 when " ~ sid
    ~ " like 'S-1-5-21-%-500' then 2 when starts_with(" ~ sid ~ ", 'S-1-5-21-') then 1 else 0 end" -%}
{'name': {{ name }}, 'uid': {{ uid }}, 'domain': case when coalesce({{ name }}, {{ uid }}) is not null then {{ domain }} end,
     'type_id': {{ type_id }}, 'type': {{ ocsf_caption("base_event", "actor.user.type_id", type_id) }}}
{%- endmacro %}


{#- The account that asked for the action, with its logon session. -#}
{% macro windows_subject() -%}
{{ windows_user("subject_user_name", "subject_user_sid", "subject_domain_name") }}
{%- endmacro %}


{#- The account of DOMAIN\name. -#}
{% macro windows_account(text) -%}
{{ windows_user("regexp_extract(" ~ text ~ ", '[^\\\\]+$')", domain="nullif(regexp_extract(" ~ text ~ ", '^([^\\\\]+)\\\\', 1), '')") }}
{%- endmacro %}


{#- Process ids are hexadecimal in Security events, decimal in Sysmon's. -#}
{% macro windows_pid(text) -%}
try_cast({{ text }} as bigint)
{%- endmacro %}


{#- `SHA1=…,MD5=…,SHA256=…,IMPHASH=…` as OCSF fingerprints; a hash of zeros says that there was none. -#}
{% macro windows_hashes(text) -%}
list_filter(list_transform(string_split({{ text }}, ','), lambda entry: {
      'algorithm_id': case upper(split_part(entry, '=', 1)) when 'MD5' then 1 when 'SHA1' then 2 when 'SHA256' then 3 when 'IMPHASH' then 18 else 99 end,
      'algorithm': case upper(split_part(entry, '=', 1)) when 'MD5' then 'MD5' when 'SHA1' then 'SHA-1' when 'SHA256' then 'SHA-256' when 'IMPHASH' then 'Imphash' else split_part(entry, '=', 1) end,
      'value': nullif(split_part(entry, '=', 2), '')
    }), lambda entry: regexp_matches(entry.value, '[^0]'))
{%- endmacro %}


{#- A process by its path, id and Sysmon GUID. `extra`: further attributes, name → SQL. -#}
{% macro windows_process(path, pid, guid="null::varchar", extra={}) -%}
{'name': {{ windows_file_name(path) }}, 'pid': {{ windows_pid(pid) }}, 'uid': nullif({{ guid }}, '{00000000-0000-0000-0000-000000000000}'),
     'file': {{ windows_file(path, 8) }}
     {%- for name, value in extra.items() %}, '{{ name }}': {{ value }}{% endfor %}}
{%- endmacro %}


{#- The process that did it, as Sysmon names it: Image, ProcessId, ProcessGuid, User. -#}
{% macro sysmon_actor() -%}
{'user': {{ windows_account("user_account") }}, 'process': {{ windows_process("image", "process_id", "process_guid") }},
     'app_name': {{ windows_unknown_actor(["user_account", "process_id", "process_guid"]) }}}
{%- endmacro %}


{#- The account and process that did it, as Security audit events name them. -#}
{% macro security_actor() -%}
{'user': {{ windows_subject() }}, 'session': {'uid': subject_logon_id},
     'process': {{ windows_process("process_name", "process_id", extra={}) }},
     'app_name': {{ windows_unknown_actor(["subject_user_name", "nullif(subject_user_sid, 'S-1-0-0')", "subject_logon_id", "process_id"]) }}}
{%- endmacro %}


{#- OCSF asks for an actor where a record names none. -#}
{% macro windows_unknown_actor(names) -%}
case when coalesce({{ names | join(", ") }}) is null then 'Unknown' end
{%- endmacro %}


{#- The parts of a list that Windows writes with line breaks and tabs: SeDebugPrivilege\r\n\t\t\tSeTcbPrivilege. -#}
{% macro windows_list(text) -%}
list_filter(regexp_split_to_array({{ text }}, '[\s,]+'), lambda part: part <> '')
{%- endmacro %}


{#- Text of the first element of that name, its entities resolved; task definitions have no attributes on the ones read here. -#}
{% macro xml_text(xml, element) -%}
nullif(trim(replace(replace(replace(replace(replace(
      regexp_extract({{ xml }}, '<{{ element }}>([^<]*)</{{ element }}>', 1),
      '&lt;', '<'), '&gt;', '>'), '&quot;', '"'), '&apos;', chr(39)), '&amp;', '&')), '')
{%- endmacro %}


{#- What the version resource and the hashes say of the binary that Sysmon names. -#}
{% macro sysmon_binary(extra={}) -%}
{%- set binary = {"hashes": windows_hashes("hashes"), "version": "file_version", "desc": "file_description",
    "product": "{'name': file_product}", "company_name": "file_company", "internal_name": "original_file_name"} -%}
{%- do binary.update(extra) -%}
{{ return(binary) }}
{%- endmacro %}


{#- The columns that every mapping ends with: who said it, where, and the pipeline's own. -#}
{% macro windows_event() -%}
message,
    metadata,
    {{ windows_device() }} as device
{%- endmacro %}


{#- The leftovers of an event with those of its header; keywords whose audit flags are the status are none. -#}
{% macro windows_unmapped(fields) -%}
{%- set all = {"Category": "category", "Keywords": "case when status_id = 0 then keywords end", "RuleName": "rule_name"} -%}
{%- do all.update(fields) -%}
{{ unmapped_json(all) }}
{%- endmacro %}
