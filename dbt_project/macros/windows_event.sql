{#- Constructors that several models of Windows events call with different arguments. -#}


{#- One field of the event data as text: kept together, or beside the header (NXLog, Export-WinEvents), where names of
    the header may hide it. Windows writes `-` where it has nothing to say. -#}
{% macro event_value(name) -%}
nullif(nullif(trim(coalesce(event_data_fields.{{ name }}, {{ name }})), '-'), '')
{%- endmacro %}


{#- The same for texts in which blanks and `-` mean themselves: registry paths and data, scripts. -#}
{% macro event_text(name) -%}
nullif(coalesce(event_data_fields.{{ name }}, {{ name }}), '')
{%- endmacro %}


{#- What came of an event. Keywords are a mask, in which one bit says audit success and one audit failure (winmeta.xml:
    win:AuditSuccess, win:AuditFailure), or words; those of other languages say nothing. Then what the collector
    says counts, at last what an event of this id always is. Sysmon reports what happened: only 27 and 28 tell of what
    was blocked, 255 of an error. -#}
{% macro audit_status() -%}
{%- set mask = "coalesce(try_cast(Keywords as hugeint), try_cast(Keywords as ubigint)::hugeint)" -%}
case
      when log = 'sysmon' and EventID > 0 then case when EventID in (27, 28, 255) then 2 else 1 end
      when EventType in ('AUDIT_SUCCESS', 'SuccessAudit') or contains(lower(Keywords), 'audit success') then 1
      when EventType in ('AUDIT_FAILURE', 'FailureAudit') or contains(lower(Keywords), 'audit failure') then 2
      when {{ mask }} & 4503599627370496 <> 0 then 2
      when {{ mask }} & 9007199254740992 <> 0 then 1
      when lower(EventOutcome) = 'success' then 1
      when lower(EventOutcome) = 'failure' then 2
      when log = 'security'
        and EventID in (4625, 4766, 4771, 4772, 4773, 4777, 5031, 5152, 5153, 5155, 5157, 5159) then 2
      when log = 'security' and (
        EventID in (1102, 4624, 4627, 4634, 4647, 4648, 4672, 4688, 4689, 4964, 5140, 5142, 5143, 5144)
        or EventID between 4696 and 4707 or EventID between 4716 and 4722 or EventID between 4725 and 4767
        or EventID between 4778 and 4783
        or EventID between 4797 and 4803) then 1
      when log = 'system' and EventID = 104 then 1
      else 0
    end
{%- endmacro %}


{#- The same for a field that the contract does not declare: read from the record itself. For rare events only. -#}
{% macro undeclared_value(name) -%}
nullif(nullif(trim(coalesce(
      json_extract_string(event_data, '$.{{ name }}'), json_extract_string(_raw, '$.{{ name }}'))), '-'), '')
{%- endmacro %}


{#- Several such fields, read at once, as a struct of texts that a model calls `fields`. They stand in the event data,
    in the one element of the user data (Event Log, WMI, Terminal Services), or beside the header. For rare events only.
    Names with blanks (Defender) are also found without them and with `_`. -#}
{% macro undeclared_fields(names) -%}
{%- set texts = {} -%}
{%- for name in names -%}
  {%- for each in windows_spellings(name) -%}{%- do texts.update({each: "VARCHAR"}) -%}{%- endfor -%}
{%- endfor -%}
json_transform(coalesce(
      nullif(event_data::varchar, '{}'),
      list_filter(json_extract(user_data, '$.*'), lambda each: json_type(each) = 'OBJECT')[-1]::varchar,
      nullif(user_data::varchar, '{}'),
      _raw
    ), '{{ tojson(texts) }}')
{%- endmacro %}


{#- One of the fields that `undeclared_fields` read. -#}
{% macro field(name) -%}
{%- set spelt = windows_spellings(name) -%}
{%- set found = 'fields."' ~ spelt | join('", fields."') ~ '"' -%}
nullif(nullif(trim({{ "coalesce(" ~ found ~ ")" if spelt | length > 1 else found }}), '-'), '')
{%- endmacro %}

{% macro windows_spellings(name) -%}
{%- set spelt = [name] -%}
{%- if " " in name -%}{%- do spelt.append(name | replace(" ", "_")) -%}{%- endif -%}
{#- these are header fields of NXLog: of the writer -#}
{%- if " " in name and name not in ("Source Name", "Process ID") -%}{%- do spelt.append(name | replace(" ", "")) -%}
{%- endif -%}
{{ return(spelt) }}
{%- endmacro %}


{#- The text as a port, where it is one: 0 says that there was none. -#}
{% macro windows_port(text) -%}
case when try_cast({{ text }} as integer) between 1 and 65535 then try_cast({{ text }} as integer) end
{%- endmacro %}


{#- One entry a line, or separated by blanks: SeDebugPrivilege\r\n\t\t\tSeTcbPrivilege, %{S-1-1-0} %{S-1-5-32-544}. -#}
{% macro windows_list(text) -%}
list_filter(regexp_split_to_array({{ text }}, '[\s,]+'), lambda part: part <> '')
{%- endmacro %}


{#- The signature of an image that Sysmon looked at, as a list: `signed` and `signature_status` say what it found. -#}
{% macro windows_signatures() -%}
case when signed = 'true' then [{
      'algorithm_id': 0,
      'algorithm': 'Unknown',
      'developer_uid': signature,
      'state_id': case lower(signature_status)
        when 'valid' then 1
        when 'expired' then 2
        when 'revoked' then 3
        when 'untrusted' then 6
        else 99
      end,
      'state': signature_status
    }] end
{%- endmacro %}


{#- An account by name and SID. `S-1-0-0` stands for nobody. Kinds follow the SID (well-known SIDs, Microsoft Learn):
    S-1-5-18 and computer accounts are System, S-1-5-19, -20 and S-1-5-80-… Service, the RID 500 is Admin. -#}
{% macro windows_user(name, sid="null::varchar", domain="null::varchar") -%}
{%- set uid = "nullif(" ~ sid ~ ", 'S-1-0-0')" -%}
{%- set type_id -%}
case
      when coalesce({{ name }}, {{ uid }}) is null then null
      when {{ sid }} = 'S-1-5-18' or {{ name }} like '%$' or {{ name }} like '%$@%' then 3
      when {{ sid }} in ('S-1-5-19', 'S-1-5-20') or starts_with({{ sid }}, 'S-1-5-80-') then 4
      when upper({{ domain }}) = 'NT AUTHORITY' and upper({{ name }}) = 'SYSTEM' then 3
      when upper({{ domain }}) = 'NT AUTHORITY' and upper({{ name }}) in ('LOCAL SERVICE', 'NETWORK SERVICE') then 4
      when {{ sid }} like 'S-1-5-21-%-500' then 2
      when starts_with({{ sid }}, 'S-1-5-21-') then 1
      else 0
    end
{%- endset -%}
{'name': {{ name }}, 'uid': {{ uid }},
     'domain': case when coalesce({{ name }}, {{ uid }}) is not null then {{ domain }} end,
     'type_id': {{ type_id }}, 'type': {{ ocsf_caption("base_event", "actor.user.type_id", type_id) }}}
{%- endmacro %}


{#- The account of DOMAIN\name. -#}
{% macro windows_account(text, sid="null::varchar") -%}
{%- set domain = "nullif(regexp_extract(" ~ text ~ ", '^([^\\\\]+)\\\\', 1), '')" -%}
{{ windows_user("regexp_extract(" ~ text ~ ", '[^\\\\]+$')", sid, domain) }}
{%- endmacro %}


{#- A process by its path, its id (hexadecimal in Security events, decimal in Sysmon's) and its Sysmon GUID. OCSF asks
    for an id: a process that is only named has an unknown one. -#}
{% macro windows_process(path, pid, guid="null::varchar", cmd_line=none) -%}
{'name': {{ windows_file_name(path) }}, 'pid': try_cast({{ pid }} as bigint),
     'uid': {{ windows_process_uid(path, pid, guid) }}, 'file': {{ windows_file(path, 8) }}
     {%- if cmd_line %}, 'cmd_line': {{ cmd_line }}{% endif %}}
{%- endmacro %}

{% macro windows_process_uid(known, pid, guid="null::varchar") -%}
coalesce(nullif({{ guid }}, '{00000000-0000-0000-0000-000000000000}'),
      case when {{ known }} is not null and try_cast({{ pid }} as bigint) is null then 'Unknown' end)
{%- endmacro %}


{#- `SHA1=…,MD5=…,SHA256=…,IMPHASH=…` as OCSF fingerprints; a hash of zeros says that there was none. -#}
{% macro windows_hashes(text) -%}
{%- set name = "upper(split_part(entry, '=', 1))" -%}
list_filter(list_transform(string_split({{ text }}, ','), lambda entry: {
      'algorithm_id': case {{ name }} when 'MD5' then 1 when 'SHA1' then 2 when 'SHA256' then 3
        when 'IMPHASH' then 18 else 99 end,
      'algorithm': case {{ name }} when 'MD5' then 'MD5' when 'SHA1' then 'SHA-1' when 'SHA256' then 'SHA-256'
        when 'IMPHASH' then 'Imphash' else split_part(entry, '=', 1) end,
      'value': nullif(split_part(entry, '=', 2), '')
    }), lambda entry: regexp_matches(entry.value, '[^0]'))
{%- endmacro %}
