-- Sign-ins of people from outside, whether they succeeded (status_id 1) or not (2), at an identity provider or a
-- machine.
{{ config(materialized="view") }}
with sign_ins as (
    select
        *,
        {{ entry_of(["user"], "identity") }} as identity,
        {{ entry_of(["src_endpoint.ip", "src_endpoint"], "warning_list") }} as warning,
        {{ entry_of(["src_endpoint"], "asset") }} as network
    from {{ ref("authentication") }}
    where activity_id <> 2 and status_id in (1, 2) and {{ is_somebody("user") }}
        and src_endpoint.ip is not null
        -- no network of the Internet: RFC 1918, 6598, 3927, loopback, and their like in IPv6
        and not regexp_matches(
            src_endpoint.ip,
            '^(10|127|0)[.]|^192[.]168[.]|^172[.](1[6-9]|2[0-9]|3[01])[.]|^169[.]254[.]'
            || '|^100[.](6[4-9]|[7-9][0-9]|1[01][0-9]|12[0-7])[.]'
            || '|^::1?$|^[fF][cCdD][0-9a-fA-F]{2}:|^[fF][eE][89abAB][0-9a-fA-F]:'
        )
)

select
    time_dt as signed_in_at,
    {{ canonical_user("user", "identity") }} as user_uid,
    lower(user.name) as user_name,
    status_id,
    coalesce(is_mfa, false) as is_mfa,
    src_endpoint.ip as address,
    src_endpoint.location as location,
    src_endpoint.autonomous_system as autonomous_system,
    -- A warning list (a cloud, a VPN), or one of our own by the CMDB. Where somebody is does not follow from such an
    -- address, and a threat list that names it is mistaken.
    coalesce(
        {{ entry_text("warning", "name") }},
        case
            when contains(lower({{ entry_text("network", "type") }}), 'network')
                or list_has_any(
                    list_transform(
                        {{ entry_list("network", "tags") }} || [{{ entry_text("network", "environment") }}],
                        lambda tag: lower(tag)
                    ),
                    ['egress', 'vpn']
                )
                then {{ entry_text("network", "name") }}
        end
    ) as known_network,
    coalesce(dst_endpoint.hostname, metadata.product.name) as at_what,
    metadata.uid as event_uid,
    type_uid,
    metadata.logged_time as logged_time
from sign_ins
