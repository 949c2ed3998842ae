-- Groups of IAM, IAM Identity Center and Cognito: made, deleted, their members and their policies.
with membership as (
    select
        *,
        coalesce(
            request_parameters ->> 'groupName',
            request_parameters ->> 'displayName',
            response_elements ->> '$.group.groupName',
            response_elements ->> '$.group.displayName'
        ) as group_name,
        coalesce(
            response_elements ->> '$.group.arn',
            request_parameters ->> 'groupId',
            response_elements ->> 'groupId',
            response_elements ->> '$.group.groupId'
        ) as group_uid,
        coalesce(request_parameters ->> 'userName', request_parameters ->> 'username') as member_name,
        coalesce(
            request_parameters ->> '$.memberId.userId',
            request_parameters ->> '$.member.memberId',
            request_parameters ->> 'memberId'
        ) as member_uid,
        request_parameters ->> 'policyArn' as policy_arn,
        coalesce(
            request_parameters ->> 'policyName',
            nullif(regexp_extract(request_parameters ->> 'policyArn', '([^/]+)$', 1), '')
        ) as policy_name
    from {{ ref("aws_cloudtrail") }}
    where class_uid = 3006
)

select
    activity_id,
    activity_name,
    status_id,
    status_code,
    status_detail,
    {'name': coalesce(group_name, case when group_uid is null then 'Unknown' end), 'uid': group_uid} as group,
    case when activity_id in (3, 4) then {'name': member_name, 'uid': member_uid} end as user,
    case when coalesce(policy_arn, policy_name) is not null then [coalesce(policy_arn, policy_name)] end as privileges,
    {'uid': policy_arn, 'name': policy_name} as policy,
    src_endpoint,
    http_request,
    observables || {{ observables([
      observable("group.name", 32, "group_name"),
      observable("user.name", 4, "member_name"),
    ]) }} as observables,
    cloud,
    actor,
    api,
    metadata
from membership
