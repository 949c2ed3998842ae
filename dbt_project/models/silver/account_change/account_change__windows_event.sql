-- Accounts that were created, changed, locked or deleted (Security 4720-4726, 4738, 4740-4743, 4765-4767, 4780-4782,
-- 4794).
with events as (
    select
        *,
        coalesce(old_target_user_name, target_user_name, sam_account_name) as user_name,
        {{ undeclared_value("PrimaryGroupId") }} as primary_group,
        coalesce(target_sid, target_user_sid) as user_uid,
        -- a lockout names in the domain's place the computer from which the wrong passwords came
        case when event_id = 4740 then target_domain_name end as lockout_computer,
        case when event_id <> 4740 then target_domain_name end as user_domain
    from {{ ref("windows_event") }}
    where class_uid = 3001
)

select
    activity_id,
    case event_id
        when 4738 then 'Modify' when 4742 then 'Modify' when 4765 then 'Add SID History'
        when 4766 then 'Add SID History' when 4780 then 'Set Security' when 4781 then 'Rename'
        when 4782 then 'Access Password Hash'
    end as activity_name,
    severity_id,
    case when event_id = 4766 then 2 else status_id end as status_id,
    message,
    actor,
    {
        'name': account.name,
        'uid': account.uid,
        'domain': account.domain,
        'type_id': account.type_id,
        'type': account.type,
        'uid_alt': user_principal_name,
        'groups': case when primary_group is not null then [{'uid': primary_group}] end
    } as user,
    {
        'name': coalesce(
            new_target_user_name,
            case when display_name is not null then coalesce(target_user_name, sam_account_name) end
        ),
        'uid': case when new_target_user_name is not null then user_uid end,
        'full_name': display_name,
        'domain': case when coalesce(new_target_user_name, display_name) is not null then target_domain_name end
    } as user_result,
    {
        'hostname': coalesce(lockout_computer, case when event_id = 4794 then ltrim(workstation, '\') end)
    } as src_endpoint,
    device,
    {{ observables([
        observable("user.name", 4, "user_name"),
        observable("actor.user.name", 4, "subject_user_name"),
        observable("src_endpoint.hostname", 1, "lockout_computer"),
        observable("device.hostname", 1, "computer_name"),
    ]) }} as observables,
    metadata,
    json_merge_patch(unmapped, to_json({
        'SamAccountName': sam_account_name,
        'UserAccountControl': user_account_control,
        'PasswordLastSet': password_last_set,
        'SidHistory': sid_history,
        'UserWorkstations': user_workstations,
        'PrivilegeList': privilege_list
    })) as unmapped
from (
    select
        *,
        {{ windows_user("coalesce(user_name, 'Unknown')", "user_uid", "user_domain") }} as account
    from events
)
