-- Groups that were created, changed or deleted, and members that came and went (Security 4727-4737, 4744-4764,
-- 4783-4792).
with events as (
    select
        *,
        -- CN=Jo Doe,OU=… → Jo Doe; a comma within the name is escaped
        nullif(replace(regexp_extract(member_name, '(?i)^CN=((?:\\.|[^,\\])+)', 1), '\', ''), '') as member_common_name
    from {{ ref("windows_event") }}
    where class_uid = 3006
)

select
    activity_id,
    case when activity_id = 99 then 'Modify' end as activity_name,
    severity_id,
    status_id,
    message,
    actor,
    device,
    {
        'name': coalesce(target_user_name, 'Unknown'),
        'uid': coalesce(target_sid, target_user_sid),
        'domain': target_domain_name,
        'type': case
            when event_id in (4727, 4728, 4729, 4730, 4737) then 'Global security group'
            when event_id in (4731, 4732, 4733, 4734, 4735) then 'Local security group'
            when event_id in (4754, 4755, 4756, 4757, 4758) then 'Universal security group'
            when event_id between 4744 and 4748 then 'Local distribution group'
            when event_id between 4749 and 4753 then 'Global distribution group'
            when event_id between 4759 and 4763 then 'Universal distribution group'
            when event_id between 4783 and 4789 then 'Basic application group'
            when event_id between 4790 and 4792 then 'LDAP query group'
        end
    } as group,
    {{ windows_user("member_common_name", "member_sid") }} as user,
    {{ observables([
        observable("group.name", 32, "target_user_name"),
        observable("user.name", 4, "member_common_name"),
        observable("actor.user.name", 4, "subject_user_name"),
        observable("device.hostname", 1, "computer_name"),
    ]) }} as observables,
    metadata,
    json_merge_patch(unmapped, to_json({
        'MemberName': member_name,
        'SamAccountName': sam_account_name,
        'SidHistory': sid_history,
        'PrivilegeList': privilege_list
    })) as unmapped
from events
