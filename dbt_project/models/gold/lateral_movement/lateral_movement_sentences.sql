-- Signals with what is said of them: `headline` in short, `details` in the order in which they are told, and how far
-- the record of logons goes back where that is less than 90 days.
{{ config(materialized="ephemeral") }}
with phrases as (
    select
        *,
        list_sort(list_distinct(list_transform(logon_types, lambda type: case
            when type in (10, 12) then 'Remote Desktop'
            when type = 8 then 'a network logon in clear text'
            else 'a network logon'
        end))) as ways,
        case
            when full_name is not null and department is not null and title is not null
                then ' (' || full_name || ', ' || department || ')'
            else coalesce(' (' || full_name || ')', '')
        end as name_in_brackets,
        'AS' || new_asn.number || coalesce(' (' || new_asn.name || ')', '') as new_network
    from {{ ref("lateral_movement_clauses") }}
)

select
    * exclude (ways, name_in_brackets, new_network),
    upper(left(who, 1)) || substring(who, 2) || never_clause
        || case when never_clause = '' and is_new_asset then ' logged for the first time into ' else ' logged into ' end
        || machine_words || from_clause as headline,
    list_filter([
        user_name || name_in_brackets || ' logged on to ' || coalesce(asset_name, host)
            || ' by ' || {{ enumerated("ways") }}
            || ' at ' || strftime(first_logon_at, '%H:%M') || ' UTC on ' || strftime(first_logon_at, '%-d %B %Y')
            || case when len(addresses) > 0 then ' from ' || {{ enumerated("addresses[:3]") }} else '' end,
        'the address ' || hostile.address
            || case
                when list_contains(coalesce(addresses, []), hostile.address) then ''
                else ', from which the account had signed in at ' || strftime(hostile.used_at, '%H:%M') || ','
            end
            || ' had been on the list ' || hostile.feed || coalesce(' (' || hostile.name || ')', '')
            || ' for ' || {{ span_in_words("hostile.seconds_before") }},
        case
            when mfa_denied > 0
                then {{ counted("mfa_denied", "challenge") }} || ' for a second factor '
                    || case when mfa_denied = 1 then 'was' else 'were' end || ' denied before'
        end,
        case
            when travel is not null
                then 'from ' || coalesce(travel.from_city, travel.from_country, 'the place before')
                    || ' to ' || coalesce(travel.city, travel.country, 'there')
                    || format(' it would have taken {:,} km/h', travel.kilometres_per_hour)
        end,
        case
            when new_country is not null and new_asn is not null
                then 'the country ' || new_country_name || ' and the network ' || new_network
                    || ' are new for the account'
            when new_country is not null then 'the country ' || new_country_name || ' is new for the account'
            when new_asn is not null then 'the network ' || new_network || ' is new for the account'
        end,
        case when is_privileged then 'the account is privileged' end,
        case
            when is_ntlm_without_key then 'the logon was by NTLM without a session key, as with a stolen hash'
            when taken is not null
                then 'its credentials had been taken on at ' || taken.host || ' by another account'
        end,
        case
            when len(deeds) > 0 then 'within the hour after, ' || {{ enumerated("deeds") }}
            when special_privileges > 0 then 'its session was given special privileges'
        end
    ], lambda detail: detail is not null) as details,
    case
        when record_seconds is null then 'nothing is on record from before'
        when record_seconds < 90 * 86400 - 7200
            then 'the record of logons goes back '
                || {{ span_in_words("(record_seconds - record_seconds % 3600)") }}
    end as record_words
from phrases
