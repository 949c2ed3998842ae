-- Episodes: the remote logons of one account on one machine in one event hour, as one row, with what the directory and
-- the CMDB said of the two at the first logon.
{{ config(materialized="ephemeral") }}
with grouped as (
    select
        user_uid,
        asset_uid,
        hour,
        min(logon_at) as first_logon_at,
        max(logon_at) as last_logon_at,
        count(*) as logons,
        first(user_name order by logon_at, event_uid) as user_name,
        first(host order by logon_at, event_uid) as host,
        first(identity order by logon_at, event_uid) as identity,
        first(asset order by logon_at, event_uid) as asset,
        first(tags order by logon_at, event_uid) as tags,
        list_sort(list(distinct logon_type_id)) as logon_types,
        list_sort(list(distinct address) filter (where address is not null)) as addresses,
        list_sort(list(distinct auth_protocol) filter (where auth_protocol is not null)) as protocols,
        bool_or(is_ntlm_without_key) as is_ntlm_without_key,
        bool_or(is_built_in_administrator) as is_built_in_administrator
    from {{ ref("remote_logons") }}
    group by user_uid, asset_uid, hour
),

told as (
    select
        *,
        {{ entry_text("identity", "full_name") }} as full_name,
        {{ entry_text("identity", "title") }} as title,
        {{ entry_text("identity", "department") }} as department,
        {{ entry_list("identity", "groups") }} as user_groups,
        {{ entry_text("asset", "name") }} as asset_name,
        {{ entry_text("asset", "role") }} as asset_role,
        {{ entry_text("asset", "type") }} as asset_type,
        {{ entry_text("asset", "owner") }} as asset_owner
    from grouped
)

select
    * exclude (identity, asset),
    is_built_in_administrator
        or coalesce(json_extract_string(identity, '$.is_privileged') = 'true', false) as is_privileged,
    -- the CMDB names accounts or groups
    list_has_any(
        list_transform({{ entry_list("asset", "administrators") }}, lambda name: lower(name)),
        list_transform(
            list_filter(
                [user_name, {{ entry_text("identity", "username") }}, {{ entry_text("identity", "uid") }}, full_name]
                    || user_groups,
                lambda name: name is not null
            ),
            lambda name: lower(name)
        )
    ) as is_expected_administrator
from told
