-- Sign-ins to the console and to IAM Identity Center, their steps, switches of role in the console, and sessions that
-- STS opens. Where OCSF's own dossier (github.com/ocsf/examples, AWS v1.5.0, CloudTrail Authentication) says where a
-- field goes, it goes there: who assumes a role is the actor, the role in its new session is the user.
with events as (
    select
        *,
        additional_data ->> 'CredentialType' as credential_type,
        event_source like 'sts.%' as is_sts,
        coalesce(response_elements ->> '$.federatedUser.arn', request_parameters ->> 'roleArn') as new_principal,
        coalesce(
            response_elements ->> '$.assumedRoleUser.arn', response_elements ->> '$.federatedUser.arn'
        ) as new_session,
        coalesce(
            response_elements ->> '$.assumedRoleUser.assumedRoleId',
            response_elements ->> '$.federatedUser.federatedUserId'
        ) as new_session_alt,
        coalesce(request_parameters ->> 'roleSessionName', request_parameters ->> 'name') as new_name,
        replace(response_elements ->> '$.credentials.expiration', chr(8239), ' ') as expiration -- a narrow blank
    from {{ ref("aws_cloudtrail") }}
    where class_uid = 3002
),

opened as (
    select
        *,
        is_sts and new_principal is not null as is_somebody_else,
        nullif(regexp_extract(new_principal, '^arn:[^:]*:[^:]*:[^:]*:([0-9]{12}):', 1), '') as new_account
    from events
)

select
    activity_id,
    activity_name,
    status_id,
    status_code,
    status_detail,
    case when activity_id = 7 then 99 end as account_switch_type_id,
    case when activity_id = 7 then event_name end as account_switch_type,
    -- AssumeRole, …WithSAML, …WithWebIdentity, GetFederationToken name whom they make; the others open a session of the
    -- caller's own
    {
        'name': case
            when is_somebody_else
                then coalesce(new_name, nullif(regexp_extract(new_principal, '[:/]([^:/]+)$', 1), ''))
            else caller.name
        end,
        'uid': case when is_somebody_else then new_principal else caller.uid end,
        'uid_alt': case when is_somebody_else then identity_principal else caller.uid_alt end,
        'type_id': case when not is_somebody_else then caller.type_id end,
        'type': case when not is_somebody_else then caller.type end,
        'account': case
            when is_somebody_else then {{ aws_account("new_account") }}
            else caller.account
        end,
        'programmatic_credentials': case when not is_somebody_else then caller.programmatic_credentials end
    } as user,
    case
        when is_sts then {
            'uid': new_session,
            'uid_alt': new_session_alt,
            'credential_uid': response_elements ->> '$.credentials.accessKeyId',
            'issuer': response_elements ->> 'issuer',
            'expiration_time': coalesce(
                epoch_ms(try_strptime(expiration, ['%b %d, %Y, %I:%M:%S %p', '%b %d, %Y %I:%M:%S %p'])),
                {{ iso_millis("expiration") }}
            )
        }
    end as session,
    coalesce(
        (additional_data ->> 'MFAUsed') = 'Yes',
        case when is_sts and (request_parameters ->> 'serialNumber') is not null then true end, -- the caller's device
        session_is_mfa
    ) as is_mfa,
    -- CredentialType of IAM Identity Center (docs.aws.amazon.com/singlesignon/latest/userguide/sign-in-events.html)
    case when credential_type is not null then [{
        'factor_type_id': case credential_type
            when 'PASSWORD' then 11 when 'TOTP' then 7 when 'RESYNC_TOTP' then 7 when 'WEBAUTHN' then 10
            when 'EMAIL_OTP' then 8 else 99
        end,
        'factor_type': case credential_type
            when 'PASSWORD' then 'Password' when 'TOTP' then 'OTP' when 'RESYNC_TOTP' then 'OTP'
            when 'WEBAUTHN' then 'WebAuthn' when 'EMAIL_OTP' then 'Email' else credential_type
        end
    }] end as auth_factors,
    case
        when (additional_data ->> 'SamlProviderArn') is not null or event_name = 'AssumeRoleWithSAML' then 5
        when event_name = 'AssumeRoleWithWebIdentity' then 4
    end as auth_protocol_id,
    {'name': event_source} as service,
    src_endpoint,
    {
        'svc_name': coalesce(additional_data ->> 'LoginTo', event_source),
        'hostname': coalesce(
            tls_host, nullif(regexp_extract(additional_data ->> 'LoginTo', '^https?://([^/:?#]+)', 1), '')
        )
    } as dst_endpoint,
    http_request,
    observables,
    cloud,
    actor,
    api,
    metadata
from opened
