-- The parts of a signal's sentence: whose account, what it never touched, which machine, from where, and what followed.
{{ config(materialized="ephemeral") }}
with nouns as (
    select
        *,
        -- whose account, by title, else department, else name
        case
            when title is not null then {{ with_article(mid_sentence("title")) }}
            when department is null then full_name
        end as owner_noun,
        {{ mid_sentence("coalesce(asset_role, asset_type)") }} as machine_kind
    from {{ ref("lateral_movement_signals") }}
),

machines as (
    select
        *,
        -- by what it is for, its sensitive label first; NULL where the CMDB does not know it
        case
            when sensitive_label is null then machine_kind
            when machine_kind is null then sensitive_label || ' machine'
            when contains(lower(machine_kind), lower(sensitive_label))
                then left(machine_kind, strpos(lower(machine_kind), lower(sensitive_label)) - 1) || sensitive_label
                    || substring(
                        machine_kind, strpos(lower(machine_kind), lower(sensitive_label)) + length(sensitive_label)
                    )
            else sensitive_label || ' ' || machine_kind
        end as machine_noun
    from nouns
)

select
    * exclude (owner_noun, machine_kind, machine_noun),
    case
        when owner_noun is not null
            then owner_noun || case when owner_noun ilike '%s' then chr(39) else chr(39) || 's' end || ' account'
        when department is not null then 'an account of ' || department
        when is_built_in_administrator then 'the built-in administrator''s account'
        else 'the account ' || user_name
    end as who,
    -- production, a sensitive kind of machine, or nothing to say
    case
        when not is_new_asset then ''
        when list_contains(new_tags, 'production') then ' that never touched production'
        when sensitive_label is not null and list_contains(new_tags, sensitive_tag)
            then ' that never touched ' || {{ with_article("sensitive_label") }} || ' machine'
        else ''
    end as never_clause,
    coalesce({{ with_article("machine_noun") }}, 'the machine ' || host) as machine_words,
    -- the most telling of the facts
    case
        when hostile is not null
            then ' from an address flagged ' || {{ span_in_words("hostile.seconds_before") }} || ' ago'
        when travel is not null
            then format(' after a journey of {:,} km in ', travel.kilometres) || {{ span_in_words("travel.seconds") }}
        when new_country is not null then ' after signing in from ' || new_country_name || ', which is new for it'
        when is_ntlm_without_key or taken is not null then ' with what looks like a stolen hash'
        else ''
    end as from_clause,
    list_filter([
        case
            when len(services) = 1 then 'the service ' || services[1] || ' was installed'
            when len(services) > 1 then 'the services ' || {{ enumerated("services") }} || ' were installed'
        end,
        case when encoded_powershell > 0 then 'encoded PowerShell ran' end,
        case when lsass_access > 0 then 'the memory of LSASS was read' end,
        case
            when len(run_keys) = 1 then 'the Run key ' || run_keys[1] || ' was set'
            when len(run_keys) > 1 then 'the Run keys ' || {{ enumerated("run_keys") }} || ' were set'
        end
    ], lambda deed: deed is not null) as deeds
from machines
