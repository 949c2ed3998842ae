-- Sign-ins of people from outside, whether they succeeded (status_id 1) or not (2), at an identity provider or a machine.
{{ config(materialized="view") }}
select
    time_dt as signed_in_at,
    {{ canonical_user("user", entry_of(["user"], "identity")) }} as user_uid,
    lower(user.name) as user_name,
    status_id,
    coalesce(is_mfa, false) as is_mfa,
    src_endpoint.ip as address,
    src_endpoint.location as location,
    src_endpoint.autonomous_system as autonomous_system,
    {{ known_network() }} as known_network,
    coalesce(dst_endpoint.hostname, metadata.product.name) as at_what,
    metadata.uid as event_uid,
    type_uid,
    metadata.logged_time as logged_time
from {{ ref("authentication") }}
where activity_id <> 2 and status_id in (1, 2) and {{ is_somebody("user") }}
    and src_endpoint.ip is not null and not {{ is_inside_address("src_endpoint.ip") }}
