-- Rules and settings of the Windows firewall that were set or deleted. The process is the one that asked for it.
with events as (
    select
        *,
        {{ fdr_undeclared(["FirewallRuleId"]) }} as rule_uid,
        {{ fdr_undeclared(["FirewallRule"]) }} as rule,
        {{ fdr_undeclared(["FirewallOption"]) }} as setting,
        {{ fdr_undeclared(["FirewallOptionNumericValue", "FirewallOptionStringValue"]) }} as setting_value,
        {{ fdr_undeclared(["FirewallProfile"]) }} as profile,
        nullif(regexp_extract(rule, '[|]Name=([^|]*)', 1), '') as rule_name
    from {{ ref("crowdstrike_fdr") }}
    where class_uid = 3004
)

select
    activity_id,
    severity_id,
    status_id,
    action_id,
    disposition_id,
    attacks,
    {{ fdr_actor("coalesce(rpc_client_process_id, context_process_id)") }} as actor,
    {
        'name': coalesce(rule_name, setting, case when rule_uid is null then 'Unknown' end),
        'uid': rule_uid,
        'type_id': 99,
        'type': case when coalesce(rule_uid, rule) is not null then 'Firewall Rule' else 'Firewall Setting' end,
        'data': {{ known_json({
            "FirewallRule": "rule",
            "SettingValue": "setting_value",
            "Profiles": "profile",
        }) }}
    } as entity,
    {{ observables([
        observable("device.hostname", 1, "computer_name"),
        observable("actor.user.name", 4, "user_name"),
    ]) }} as observables,
    {{ fdr_unmapped([
        "FirewallRuleId", "FirewallRule", "FirewallOption", "FirewallOptionNumericValue", "FirewallProfile",
        "RpcClientProcessId", "UserName", "UserSid", "AuthenticationId",
    ]) }} as unmapped,
    metadata,
    case when is_host_known then device end as device
from events
