-- Accounts of hosts and domains, and of the Falcon console: made, enabled, disabled, deleted, locked; their passwords.
with events as (
    select
        *,
        starts_with(event_type, 'AuditEvent:') as in_console,
        {{ fdr_undeclared(["UserId"]) }} as console_user,
        {{ fdr_undeclared(["UserIp"]) }} as console_address,
        {{ fdr_undeclared(["Success"]) }} as success,
        {{ fdr_audit_value(["target_name", "target_user"]) }} as target_name,
        {{ fdr_audit_value(["target_user_uuid", "target_uuid"]) }} as target_uid,
        {{ fdr_undeclared(["DomainSid"]) }} as domain_sid,
        {{ fdr_undeclared(["UserRid", "UserRid_decimal"]) }} as user_rid,
        coalesce({{ fdr_sid("domain_sid", "user_rid") }}, user_uid) as account_sid,
        {{ fdr_ip("console_address") }} as console_ip
    from {{ ref("crowdstrike_fdr") }}
    where class_uid = 3001
)

select
    activity_id,
    case when activity_id = 99 then event_type end as activity_name,
    severity_id,
    case when success = 'false' then 2 else status_id end as status_id,
    action_id,
    disposition_id,
    attacks,
    case
        when in_console
            then {{ fdr_console_user(
                "coalesce(target_name, case when target_uid is null then 'Unknown' end)", "target_uid"
            ) }}
        else {{ fdr_user(
            "coalesce(user_name, case when account_sid is null then 'Unknown' end)",
            "account_sid",
            "logon_domain",
            extra={"email_addr": "null::varchar"}
        ) }}
    end as user,
    {
        'user': case when in_console then {{ fdr_console_user("console_user") }} end,
        'process': {{ fdr_process("coalesce(rpc_client_process_id, context_process_id)") }}
    } as actor,
    {'ip': coalesce(remote_ip, console_ip), 'hostname': client_computer_name} as src_endpoint,
    {{ observables([
        observable("device.hostname", 1, "computer_name"),
        observable("user.name", 4, "case when in_console then target_name else user_name end"),
        observable("actor.user.name", 4, "case when in_console then console_user end"),
        observable("src_endpoint.ip", 2, "coalesce(remote_ip, console_ip)"),
    ]) }} as observables,
    {{ fdr_unmapped([
        "UserName", "UserSid", "RpcClientProcessId", "ClientComputerName", "UserId", "UserIp"
    ]) }} as unmapped,
    metadata,
    case when is_host_known then device end as device
from events
