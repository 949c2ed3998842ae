-- Accounts that were added to a group of a host or a domain, or taken out of one.
with events as (
    select
        *,
        {{ fdr_undeclared(["DomainSid"]) }} as domain_sid,
        {{ fdr_undeclared(["GroupRid", "GroupRid_decimal"]) }} as group_rid,
        {{ fdr_undeclared(["UserRid", "UserRid_decimal"]) }} as user_rid,
        {{ fdr_sid("domain_sid", "group_rid") }} as group_sid,
        -- of a group that every Windows has, the domain is no account's
        coalesce(
            case when domain_sid like 'S-1-5-21-%' then {{ fdr_sid("domain_sid", "user_rid") }} end, user_uid
        ) as member_sid,
        coalesce({{ fdr_undeclared(["GroupName"]) }}, case
            when group_sid = 'S-1-5-32-544' then 'Administrators'
            when group_sid = 'S-1-5-32-545' then 'Users'
            when group_sid = 'S-1-5-32-546' then 'Guests'
            when group_sid = 'S-1-5-32-547' then 'Power Users'
            when group_sid = 'S-1-5-32-551' then 'Backup Operators'
            when group_sid = 'S-1-5-32-555' then 'Remote Desktop Users'
            when group_sid = 'S-1-5-32-580' then 'Remote Management Users'
            when group_sid like 'S-1-5-21-%-512' then 'Domain Admins'
            when group_sid like 'S-1-5-21-%-513' then 'Domain Users'
            when group_sid like 'S-1-5-21-%-518' then 'Schema Admins'
            when group_sid like 'S-1-5-21-%-519' then 'Enterprise Admins'
        end) as group_name
    from {{ ref("crowdstrike_fdr") }}
    where class_uid = 3006
)

select
    activity_id,
    severity_id,
    status_id,
    action_id,
    disposition_id,
    attacks,
    {
        'name': coalesce(group_name, case when group_sid is null then 'Unknown' end),
        'uid': group_sid
    } as "group",
    {{ fdr_user("user_name", "member_sid") }} as user,
    {'process': {{ fdr_process("coalesce(rpc_client_process_id, context_process_id)") }}} as actor,
    {'ip': remote_ip, 'hostname': client_computer_name} as src_endpoint,
    {{ observables([
        observable("device.hostname", 1, "computer_name"),
        observable("group.name", 32, "group_name"),
        observable("group.uid", 33, "group_sid"),
        observable("user.name", 4, "user_name"),
        observable("user.uid", 31, "member_sid"),
        observable("src_endpoint.ip", 2, "remote_ip"),
    ]) }} as observables,
    {{ fdr_unmapped([
        "UserName", "UserSid", "RpcClientProcessId", "RemoteAddressIP4", "ClientComputerName"
    ]) }} as unmapped,
    metadata,
    case when is_host_known then device end as device
from events
