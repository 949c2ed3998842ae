-- Logons to a machine that succeeded, with what the directory says of the account and the CMDB of the machine.
{{ config(materialized="view") }}
with logons as (
    select
        *,
        {{ entry_of(["user"], "identity") }} as identity,
        {{ entry_of(["dst_endpoint", "device"], "asset") }} as asset,
        coalesce(dst_endpoint.hostname, device.hostname) as host,
        lower(unmapped ->> '$.LogonProcessName') as logon_process_name
    from {{ ref("authentication") }}
    where activity_id = 1 and status_id = 1 and coalesce(logon_type_id, 0) <> 0 and {{ is_somebody("user") }}
)

select
    time_dt as logon_at,
    {{ canonical_user("user", "identity") }} as user_uid,
    lower(user.name) as user_name,
    coalesce(user.type_id = 2, false) as is_built_in_administrator,
    {{ canonical_asset("host", "asset") }} as asset_uid,
    host,
    -- what the machine is tagged with, and the environment that it belongs to
    list_sort(list_distinct(list_filter(
        list_transform(
            {{ entry_list("asset", "tags") }} || [{{ entry_text("asset", "environment") }}], lambda tag: lower(tag)
        ),
        lambda tag: tag <> ''
    ))) as tags,
    logon_type_id,
    logon_type,
    -- from another machine: network, cleartext over the network, Remote Desktop, and that with cached credentials
    coalesce(is_remote, logon_type_id in (3, 8, 10, 12)) and logon_type_id in (3, 8, 10, 12) as is_remote,
    auth_protocol,
    -- Published patterns of a passed hash (Sigma, "Pass the Hash Activity 2"; JPCERT/CC, Detecting Lateral Movement):
    -- an NTLM network logon without session key, or new credentials taken on by seclogo.
    coalesce(
        logon_type_id = 3 and auth_protocol_id = 1
            and (unmapped ->> '$.KeyLength') = '0' and logon_process_name = 'ntlmssp',
        false
    ) as is_ntlm_without_key,
    coalesce(logon_type_id = 9 and logon_process_name = 'seclogo', false) as is_new_credentials,
    lower(unmapped ->> '$.TargetOutboundUserName') as outbound_user_name,
    src_endpoint.ip as address,
    src_endpoint.hostname as client,
    identity,
    asset,
    metadata.uid as event_uid,
    type_uid,
    metadata.logged_time as logged_time
from logons
where host is not null
