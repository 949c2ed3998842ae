{#- The words and the techniques of a lateral movement signal, from the columns of lateral_movement_candidates. -#}


{#- Whose account: by title, else department, else name. -#}
{% macro lateral_movement_who() -%}
case
      when title is not null then {{ with_article(genitive("title_words")) }} || ' account'
      when department is not null then 'an account of ' || department
      when full_name is not null then {{ genitive("full_name") }} || ' account'
      when is_built_in_administrator then 'the built-in administrator''s account'
      else 'the account ' || user_name
    end
{%- endmacro %}

{#- What it never touched: production, a sensitive kind of machine, or nothing to say. -#}
{% macro lateral_movement_never() -%}
case
      when not is_new_asset then ''
      when list_contains(new_tags, 'production') then ' that never touched production'
      when sensitive_label is not null and list_contains(new_tags, sensitive_tag) then ' that never touched ' || {{ with_article("sensitive_label") }} || ' machine'
      else ''
    end
{%- endmacro %}

{#- The machine by what it is for, its sensitive label first; NULL where the CMDB does not know it. -#}
{% macro lateral_movement_machine() -%}
{%- set kind = mid_sentence("coalesce(asset_role, asset_type)") -%}
case
      when sensitive_label is null then {{ kind }}
      when coalesce(asset_role, asset_type) is null then sensitive_label || ' machine'
      when contains(lower({{ kind }}), lower(sensitive_label)) then regexp_replace({{ kind }}, '(?i)' || regexp_escape(sensitive_label), sensitive_label)
      else sensitive_label || ' ' || {{ kind }}
    end
{%- endmacro %}

{#- From where: the most telling of the facts. -#}
{% macro lateral_movement_from() -%}
case
      when hostile is not null then ' from an address flagged ' || {{ span_in_words("hostile.seconds_before") }} || ' ago'
      when travel is not null then ' after a journey of ' || format('{:,} km', travel.kilometres) || ' in ' || {{ span_in_words("travel.seconds") }}
      when new_country is not null then ' after signing in from ' || new_country_name || ', which is new for it'
      when is_ntlm_without_key or taken is not null then ' with what looks like a stolen hash'
      else ''
    end
{%- endmacro %}

{#- The details of the long sentence, in the order in which they are told; NULL where there is nothing to tell. -#}
{% macro lateral_movement_details() -%}
[
      user_name || coalesce(case when full_name is not null then ' (' || full_name || case when department is not null and title is not null then ', ' || department else '' end || ')' end, '')
        || ' logged on to ' || coalesce(asset_name, host)
        || ' by ' || {{ enumerated("list_sort(list_distinct(list_transform(logon_types, lambda type: case when type in (10, 12) then 'Remote Desktop' when type = 8 then 'a network logon in clear text' else 'a network logon' end)))") }}
        || ' at ' || strftime(first_logon_at, '%H:%M') || ' UTC on ' || strftime(first_logon_at, '%-d %B %Y')
        || case when len(addresses) > 0 then ' from ' || {{ enumerated("addresses[:3]") }} else '' end,
      'the address ' || hostile.address || case when list_contains(coalesce(addresses, []), hostile.address) then '' else ', from which the account had signed in at ' || strftime(hostile.used_at, '%H:%M') || ',' end
        || ' had been on the list ' || hostile.feed || coalesce(' (' || hostile.name || ')', '') || ' for ' || {{ span_in_words("hostile.seconds_before") }},
      case when mfa_denied > 0 then {{ counted("mfa_denied", "challenge") }} || ' for a second factor ' || case when mfa_denied = 1 then 'was' else 'were' end || ' denied before' end,
      case when travel is not null then 'from ' || coalesce(travel.from_city, travel.from_country, 'the place before') || ' to ' || coalesce(travel.city, travel.country, 'there') || ' it would have taken '
        || format('{:,} km/h', travel.kilometres_per_hour) end,
      case
        when new_country is not null and new_asn is not null then 'the country ' || new_country_name || ' and the network AS' || new_asn.number || coalesce(' (' || new_asn.name || ')', '') || ' are new for the account'
        when new_country is not null then 'the country ' || new_country_name || ' is new for the account'
        when new_asn is not null then 'the network AS' || new_asn.number || coalesce(' (' || new_asn.name || ')', '') || ' is new for the account'
      end,
      case when is_privileged then 'the account is privileged' end,
      case when is_ntlm_without_key then 'the logon was by NTLM without a session key, as with a stolen hash' when taken is not null then 'its credentials had been taken on at ' || taken.host || ' by another account' end,
      case when len(deeds) > 0 then 'within the hour after, ' || {{ enumerated("deeds") }}
        when special_privileges > 0 then 'its session was given special privileges' end
    ]
{%- endmacro %}

{#- What followed on the machine. -#}
{% macro lateral_movement_deeds() -%}
[
        case when len(services) = 1 then 'the service ' || services[1] || ' was installed' when len(services) > 1 then 'the services ' || {{ enumerated("services") }} || ' were installed' end,
        case when encoded_powershell > 0 then 'encoded PowerShell ran' end,
        case when lsass_access > 0 then 'the memory of LSASS was read' end,
        case when len(run_keys) = 1 then 'the Run key ' || run_keys[1] || ' was set' when len(run_keys) > 1 then 'the Run keys ' || {{ enumerated("run_keys") }} || ' were set' end
      ]
{%- endmacro %}

{#- ATT&CK: the way of the logon, and the techniques of the factors that hold (seed signal_factors), each once. -#}
{% macro lateral_movement_attacks() -%}
list_sort(list_transform(list_distinct(list_transform(logon_types, lambda type: type in (10, 12))), lambda is_desktop: {
        'tactic': {'uid': 'TA0008', 'name': 'Lateral Movement'},
        'technique': {'uid': 'T1021', 'name': 'Remote Services'},
        'sub_technique': case when is_desktop then {'uid': 'T1021.001', 'name': 'Remote Desktop Protocol'} else {'uid': 'T1021.002', 'name': 'SMB/Windows Admin Shares'} end
      }) || coalesce(techniques, []))
{%- endmacro %}
