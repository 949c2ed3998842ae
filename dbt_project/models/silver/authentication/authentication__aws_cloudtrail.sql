-- Sign-ins to the console and to IAM Identity Center, their steps, and switches of role in the console.
-- Calls of AWS STS are API Activity: most of them are services that fetch credentials, nobody signs in.
with events as (
    select *, additional_data ->> 'CredentialType' as credential_type
    from {{ ref("aws_cloudtrail") }}
    where class_uid = 3002
)

select
    activity_id,
    activity_name,
    status_id,
    status_code,
    status_detail,
    case when activity_id = 7 then 99 end as account_switch_type_id,
    case when activity_id = 7 then event_name end as account_switch_type,
    caller as user,
    coalesce((additional_data ->> 'MFAUsed') = 'Yes', session_is_mfa) as is_mfa,
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
    case when additional_data ->> 'SamlProviderArn' is not null then 5 end as auth_protocol_id,
    {'name': event_source} as service,
    src_endpoint,
    {
      'svc_name': event_source,
      'hostname': coalesce(
          tls_host, nullif(regexp_extract(additional_data ->> 'LoginTo', '^https?://([^/:?#]+)', 1), '')
      )
    } as dst_endpoint,
    http_request,
    observables,
    cloud,
    actor,
    api,
    metadata,
    unmapped
from events
