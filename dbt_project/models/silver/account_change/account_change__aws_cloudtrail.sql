-- Users and roles that are made, changed or deleted: their passwords, access keys, MFA devices and policies.
-- `user` is the user or role that changes. IAM takes the caller where some operations name nobody (`own account`); the
-- message of a refused call names the target by its ARN; otherwise it is Unknown.
with target as (
    select
        *,
        coalesce(
            response_elements ->> '$.user.arn',
            response_elements ->> '$.role.arn',
            nullif(regexp_extract(
                error_message, 'on resource: (?:user |role )?(arn:[a-z-]+:iam::\d+:(?:user|role)/[^\s]+)', 1
            ), '')
        ) as target_arn,
        coalesce(
            request_parameters ->> 'userName',
            request_parameters ->> 'username',
            request_parameters ->> 'roleName',
            response_elements ->> '$.user.userName',
            response_elements ->> '$.role.roleName',
            response_elements ->> '$.accessKey.userName'
        ) as target_name,
        coalesce(
            response_elements ->> '$.user.userId',
            response_elements ->> '$.role.roleId',
            response_elements ->> 'userId',
            request_parameters ->> 'userId'
        ) as target_uid
    from {{ ref("aws_cloudtrail") }}
    where class_uid = 3001
),

named as (
    select
        *,
        coalesce(target_arn, target_name, target_uid) is null and (
            event_name = 'ChangePassword'
            or event_name in ('PasswordUpdated', 'PasswordRecoveryRequested', 'PasswordRecoveryCompleted')
            or event_name in ('EmailUpdated', 'AccountNameUpdated')
            or event_name in ('CreateLoginProfile', 'UpdateLoginProfile', 'DeleteLoginProfile')
            or event_name in ('CreateAccessKey', 'UpdateAccessKey', 'DeleteAccessKey', 'DeactivateMFADevice')
            or event_name like '%SSHPublicKey'
            or event_name like '%SigningCertificate'
            or event_name like '%ServiceSpecificCredential'
        ) as own_account,
        coalesce(request_parameters ->> 'policyArn', request_parameters ->> 'permissionsBoundary') as policy_arn,
        coalesce(
            request_parameters ->> 'policyName',
            nullif(regexp_extract(request_parameters ->> 'policyArn', '([^/]+)$', 1), '')
        ) as policy_name,
        coalesce(response_elements ->> '$.accessKey.accessKeyId', request_parameters ->> 'accessKeyId') as access_key,
        request_parameters ->> 'serialNumber' as mfa_device,
        event_name like '%Role%' as is_role
    from target
)

select
    activity_id,
    activity_name,
    status_id,
    status_code,
    status_detail,
    case
        when own_account then caller
        else {
            'name': coalesce(
                target_name,
                nullif(regexp_extract(target_arn, '([^/]+)$', 1), ''),
                case when target_uid is null then 'Unknown' end
            ),
            'uid': coalesce(target_arn, target_uid),
            'uid_alt': case when target_arn is not null then target_uid end,
            'type_id': case when is_role then 99 else 1 end,
            'type': case when is_role then 'Role' else 'User' end,
            'account': {{ aws_account("recipient_account") }},
            'programmatic_credentials': case
                when access_key is not null then [{'uid': access_key, 'type': 'Access Key'}]
            end
        }
    end as user,
    {'name': request_parameters ->> 'newUserName'} as user_result,
    case
        when coalesce(policy_arn, policy_name) is not null then [{'uid': policy_arn, 'name': policy_name}]
    end as policies,
    case when mfa_device is not null and activity_id in (10, 11) then [{
      'factor_type_id': case when mfa_device like '%:mfa/%' then 7 when mfa_device like '%:u2f/%' then 9 else 6 end,
      'factor_type': case
          when mfa_device like '%:mfa/%' then 'OTP' when mfa_device like '%:u2f/%' then 'U2F' else 'Hardware Token'
      end
    }] end as auth_factors,
    src_endpoint,
    http_request,
    observables || {{ observables([
      observable("user.name", 4, "target_name"),
      observable("user.uid", 31, "coalesce(target_arn, target_uid)"),
      observable("user.programmatic_credentials.uid", 19, "access_key"),
    ]) }} as observables,
    cloud,
    actor,
    api,
    metadata
from named
