-- Roles of the Falcon console that were given to an account or taken from it.
with events as (
    select
        *,
        {{ fdr_undeclared(["UserId"]) }} as console_user,
        {{ fdr_undeclared(["UserIp"]) }} as console_address,
        {{ fdr_ip("console_address") }} as console_ip,
        {{ fdr_undeclared(["Success"]) }} as success,
        {{ fdr_audit_value(["target_name", "target_user"]) }} as target_name,
        {{ fdr_audit_value(["target_user_uuid", "target_uuid"]) }} as target_uid,
        {{ fdr_audit_value(["actor_user_uuid"]) }} as console_uid,
        {{ fdr_audit_value(["roles"]) }} as roles
    from {{ ref("crowdstrike_fdr") }}
    where class_uid = 3005
)

select
    activity_id,
    severity_id,
    case success when 'true' then 1 when 'false' then 2 else 0 end as status_id,
    action_id,
    disposition_id,
    attacks,
    {{ fdr_console_user(
        "coalesce(target_name, case when target_uid is null then 'Unknown' end)", "target_uid"
    ) }} as user,
    coalesce(list_transform(string_split(roles, ','), lambda role: trim(role)), ['Unknown']) as privileges,
    {'user': {{ fdr_console_user("console_user", "console_uid") }}} as actor,
    {'ip': console_ip} as src_endpoint,
    {{ observables([
        observable("user.name", 4, "target_name"),
        observable("actor.user.name", 4, "console_user"),
        observable("src_endpoint.ip", 2, "console_ip"),
    ]) }} as observables,
    {{ fdr_unmapped(["UserId", "UserIp", "Success"]) }} as unmapped,
    metadata,
    case when is_host_known then device end as device
from events
