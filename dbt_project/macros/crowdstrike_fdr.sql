{#- What the mappings of Falcon events share: reading an event's values, and the objects that many of them fill. -#}


{#- The event that a collector keeps apart under `event`, as one STRUCT of texts, parsed once a row. -#}
{% macro fdr_nested_event() -%}
{%- set fields = {} -%}
{%- for name, type in bronze_types()["crowdstrike_fdr"]
      if type == "VARCHAR" and (name == "_time" or not name.startswith("_")) -%}
  {%- do fields.update({name: "VARCHAR"}) -%}
{%- endfor -%}
{%- do fields.update({"Attacks": "JSON"}) -%}
{%- for names in fdr_other_names().values() -%}
  {%- for name in names -%}{%- do fields.update({name: "VARCHAR"}) -%}{%- endfor -%}
{%- endfor -%}
json_transform(event, '{{ tojson(fields) }}')
{%- endmacro %}


{#- Names that the Falcon cloud has for the fields of its events, where it keeps them apart (Event Streams). -#}
{% macro fdr_other_names() -%}
{{ return({
  "aid": ["AgentIdString", "AgentId", "SensorId", "DeviceId", "HostID"],
  "ComputerName": ["Hostname", "HostnameField", "EndpointName"],
  "timestamp": ["UTCTimestamp"],
  "id": ["EventUUID", "CompositeId", "DetectId"],
}) }}
{%- endmacro %}


{#- One value as text. Sensors write nothing, or `-`, where they have nothing to say. -#}
{% macro fdr_value(name) -%}
{%- set found = [name, "nested_event." ~ name] -%}
{%- for other in fdr_other_names().get(name, []) -%}{%- do found.append("nested_event." ~ other) -%}{%- endfor -%}
nullif(nullif(trim(coalesce({{ found | join(", ") }})), ''), '-')
{%- endmacro %}


{#- The first of a list that is written as a text: `a b`, `a,b`, `["a","b"]`. -#}
{% macro fdr_first(text) -%}
case
      when contains({{ text }}, ' ') or contains({{ text }}, ',') or starts_with({{ text }}, '[')
        then regexp_extract({{ text }}, '[^][" ,]+')
      else {{ text }}
    end
{%- endmacro %}


{#- What the sensor or the cloud names of MITRE ATT&CK: [{"Tactic": "A, B", "Technique": "C"}]. A tactic stands beside a
    technique where each is alone; of lists nobody says which belongs to which. -#}
{% macro fdr_attacks(own, nested) -%}
case when coalesce({{ own }}, {{ nested }}) is not null then flatten(list_transform(
      try_cast(from_json(coalesce({{ own }}, {{ nested }}), '[{"Tactic": "VARCHAR", "Technique": "VARCHAR"}]')
        as struct("Tactic" varchar, "Technique" varchar)[]),
      lambda each: case
        when each."Technique" is null or each."Tactic" is null
            or not (contains(each."Tactic", ',') or contains(each."Technique", ','))
          then [{'tactic': {'name': each."Tactic"}, 'technique': {'name': each."Technique"}}]
        else list_transform(string_split(each."Tactic", ', '), lambda name: {
            'tactic': {'name': name}, 'technique': {'name': null::varchar}
          }) || list_transform(string_split(each."Technique", ', '), lambda name: {
            'tactic': {'name': null::varchar}, 'technique': {'name': name}
          })
      end
    )) end
{%- endmacro %}


{#- A number that fits into OCSF's 32-bit integers with a sign: exit codes and access masks come without one. -#}
{% macro fdr_int32(text) -%}
case
      when try_cast({{ text }} as bigint) between -2147483648 and 2147483647 then try_cast({{ text }} as bigint)
      when try_cast({{ text }} as bigint) between 2147483648 and 4294967295
        then try_cast({{ text }} as bigint) - 4294967296
    end
{%- endmacro %}


{#- A number between two others, else NULL. -#}
{% macro fdr_number(text, least, most) -%}
case when try_cast({{ text }} as bigint) between {{ least }} and {{ most }} then try_cast({{ text }} as bigint) end
{%- endmacro %}


{#- Milliseconds since 1970 of seconds with a fraction, or of a FILETIME (100 ns since 1601), which is no time in
    seconds before the year 9999; zero stands for none. -#}
{% macro fdr_millis(text) -%}
case
      when try_cast({{ text }} as double) between 1 and 253402300799
        then round(try_cast({{ text }} as double) * 1000)::bigint
      when try_cast({{ text }} as bigint) between 116444736000000001 and 2650467743990000000
        then try_cast({{ text }} as bigint) // 10000 - 11644473600000
    end
{%- endmacro %}


{#- An address, NULL for the unspecified one (0.0.0.0, ::, 0:0:0:0:0:0:0:0). -#}
{% macro fdr_ip(text) -%}
case when not regexp_full_match({{ text }}, '[0:.]+') then {{ ip_or_null(text) }} end
{%- endmacro %}


{#- An account by name and SID, or by name and number on Linux and macOS, where 0 is root. Kinds follow the SID as in
    `windows_user`. -#}
{% macro fdr_user(name, sid="null::varchar", domain="null::varchar", extra={}) -%}
{%- set uid = "nullif(" ~ sid ~ ", 'S-1-0-0')" -%}
{%- set type_id = "case when coalesce(" ~ name ~ ", " ~ uid ~ ") is null then null when " ~ sid
    ~ " = 'S-1-5-18' or " ~ name ~ " like '%$' then 3 when " ~ sid
    ~ " in ('S-1-5-19', 'S-1-5-20') or starts_with(" ~ sid ~ ", 'S-1-5-80-') then 4 when " ~ sid ~ " = '0' or " ~ sid
    ~ " like 'S-1-5-21-%-500' then 2 when starts_with(" ~ sid ~ ", 'S-1-5-21-') then 1 else 0 end" -%}
{'name': {{ name }}, 'uid': {{ uid }},
     'domain': case when coalesce({{ name }}, {{ uid }}) is not null then {{ domain }} end,
     'type_id': {{ type_id }}, 'type': {{ ocsf_caption("base_event", "actor.user.type_id", type_id) }}
     {%- for key, value in extra.items() %}, '{{ key }}': {{ value }}{% endfor %}}
{%- endmacro %}


{#- A process by Falcon's id (uid), the operating system's (pid), its path and its file's name; `extra`: further
    attributes, name → SQL. Without an id it is none, whatever is told of it. -#}
{% macro fdr_process(uid, path="null::varchar", name="null::varchar", pid="null::bigint", extra={}) -%}
{%- set known = "coalesce(" ~ uid ~ ", (" ~ pid ~ ")::varchar) is not null" -%}
{'uid': {{ uid }}, 'pid': {{ pid }},
     'name': case when {{ known }} then coalesce({{ windows_file_name(path) }}, {{ name }}) end,
     'file': {{ windows_file("(case when " ~ known ~ " then " ~ path ~ " end)", 8) }}
     {%- for key, value in extra.items() %}, '{{ key }}': case when {{ known }} then {{ value }} end{% endfor %}}
{%- endmacro %}


{#- The process that did it, and its account. OCSF asks for an actor where an event names none; a process without an id
    is named as the application. -#}
{% macro fdr_actor(uid="context_process_id", path="context_image_file_name", name="context_base_file_name",
    pid="null::bigint", extra={}) -%}
{%- set file_name = "coalesce(" ~ windows_file_name(path) ~ ", " ~ name ~ ")" -%}
{'process': {{ fdr_process(uid, path, name, pid, extra) }},
     'user': {{ fdr_user("user_name", "user_uid", "logon_domain") }},
     'session': {'uid': authentication_id},
     'app_name': case when {{ uid }} is null then coalesce(
       {{ file_name }}, case when coalesce(user_name, user_uid, authentication_id) is null then 'Unknown' end
     ) end}
{%- endmacro %}


{#- Hashes as OCSF fingerprints. A hash of zeros, or cut off, says that there was none. -#}
{% macro fdr_hashes(sha256="sha256", sha1="sha1", md5="md5") -%}
list_filter([
      {'algorithm_id': 3, 'algorithm': 'SHA-256', 'value': {{ sha256 }}},
      {'algorithm_id': 2, 'algorithm': 'SHA-1', 'value': {{ sha1 }}},
      {'algorithm_id': 1, 'algorithm': 'MD5', 'value': {{ md5 }}}
    ], lambda hash: {{ fdr_is_hash("hash.value") }})
{%- endmacro %}

{% macro fdr_is_hash(text) -%}
coalesce(regexp_full_match({{ text }}, '[0-9a-fA-F]+') and regexp_matches({{ text }}, '[^0]'), false)
{%- endmacro %}


{#- A file by its path, with what is known of its content: name → SQL, NULL or an empty list where nothing is. A file
    whose path is not told is unknown by name. -#}
{% macro fdr_file(path, type_id, content) -%}
{%- set told = [path] -%}
{%- for name, value in content.items() -%}
  {%- do told.append("case when len(" ~ value ~ ") > 0 then '' end" if name in ("hashes", "signatures") else value) -%}
{%- endfor -%}
{%- set known = "coalesce(" ~ told | join(", ") ~ ") is not null" -%}
{'name': case when {{ known }} then coalesce({{ windows_file_name(path) }}, {{ path }}, 'Unknown') end,
     'path': {{ path }},
     'type_id': case when {{ known }} then {{ type_id }} end,
     'type': case when {{ known }} then {{ ocsf_caption("file_activity", "file.type_id", type_id) }} end
     {%- for name, value in content.items() %}, '{{ name }}': {{ value }}{% endfor %}}
{%- endmacro %}


{#- The binary that the event is about: its path, what the version resource, the hashes and the signature say; `when`: a
    condition under which the path is that binary's. -#}
{% macro fdr_binary(path, when="true") -%}
{%- set known = {"hashes": "hashes", "signatures": "signatures", "version": "file_version",
    "company_name": "company_name", "internal_name": "original_file_name"} -%}
{%- set content = {} -%}
{%- for name, value in known.items() -%}
  {%- do content.update({name: "case when " ~ when ~ " then " ~ value ~ " end"}) -%}
{%- endfor -%}
{{ fdr_file(path, 8, content) }}
{%- endmacro %}


{#- JSON text of all fields of the event but its header and the ones that a mapping has placed. The id is part of the
    event key, and stays where there is no sensor to make the key with. -#}
{% macro fdr_unmapped(placed=[]) -%}
{%- set header = ["event_simpleName", "aid", "cid", "timestamp", "ContextTimeStamp", "event_platform", "ConfigBuild",
    "ComputerName", "TreeId"] -%}
{%- set patch = {} -%}
{%- for name in header + placed -%}{%- do patch.update({name: none}) -%}{%- endfor -%}
{%- set with_id = tojson(patch) -%}
{%- do patch.update({"id": none}) -%}
nullif(json_merge_patch('{}', json_merge_patch(coalesce(event, _raw, '{}'),
      case when aid is null then '{{ with_id }}' else '{{ tojson(patch) }}' end))::varchar, '{}')
{%- endmacro %}




{#- One value of an event that the contract does not declare, as text: of the event that a collector keeps apart,
    else of the record. The first of `names` that has a value; of a list the first element. -#}
{% macro fdr_undeclared(names) -%}
{%- set paths = [] -%}
{%- for name in names -%}{%- do paths.extend(["$." ~ name ~ "[0]", "$." ~ name]) -%}{%- endfor -%}
list_filter(
      json_extract_string(coalesce(event, _raw), ['{{ paths | join("', '") }}']),
      lambda value: trim(value) not in ('', '-')
    )[1]
{%- endmacro %}


{#- One value of `AuditKeyValues`, the list of names and values that tells of what an operation in the console did. -#}
{% macro fdr_audit_value(names) -%}
list_filter(
      try_cast(from_json(
        json_extract(coalesce(event, _raw), '$.AuditKeyValues'), '[{"Key": "VARCHAR", "ValueString": "VARCHAR"}]'
      ) as struct("Key" varchar, "ValueString" varchar)[]),
      lambda each: each."Key" in ('{{ names | join("', '") }}') and each."ValueString" <> ''
    )[1]."ValueString"
{%- endmacro %}


{#- An account of the Falcon console, which is called by its e-mail address. -#}
{% macro fdr_console_user(name, uid="null::varchar") -%}
{'name': {{ name }}, 'uid': {{ uid }}, 'email_addr': {{ email_or_null(name) }},
     'type_id': case when {{ name }} is not null then 1 end, 'type': case when {{ name }} is not null then 'User' end}
{%- endmacro %}


{#- The SID of an account or a group of a domain: its own id (RID) comes as eight hexadecimal digits, most significant
    first, or as a decimal number. -#}
{% macro fdr_sid(domain_sid, rid) -%}
{{ domain_sid }} || '-' || case
      when regexp_full_match({{ rid }}, '[0-9a-fA-F]{8}') then try_cast('0x' || {{ rid }} as bigint)
      else try_cast({{ rid }} as bigint)
    end
{%- endmacro %}


{#- Milliseconds since 1970 of a time in any way of Falcon: ISO 8601, seconds, milliseconds, FILETIME. -#}
{% macro fdr_time(text) -%}
case
      when {{ text }} like '____-__-__%' then epoch_ms(try_cast({{ text }} as timestamptz))
      when try_cast({{ text }} as bigint) between 100000000000 and 9999999999999 then try_cast({{ text }} as bigint)
      else {{ fdr_millis(text) }}
    end
{%- endmacro %}


{#- One end of a connection that a detection lists: `each` is the connection. -#}
{% macro fdr_access_end(end) -%}
{'ip': {{ ip_or_null('each."' ~ end ~ 'Address"') }}, 'port': {{ fdr_number('each."' ~ end ~ 'Port"', 1, 65535) }}}
{%- endmacro %}
