-- Sign-ins to the console and to IAM Identity Center, their steps, and switches of role in the console.
-- Calls of AWS STS are API Activity: most of them are services that fetch credentials, nobody signs in.
select
    activity_id,
    case when activity_id = 99 then event_name end as activity_name,
    case when activity_id = 7 then 99 end as account_switch_type_id,
    case when activity_id = 7 then event_name end as account_switch_type,
    {{ cloudtrail_user() }} as user,
    coalesce((additional_data ->> 'MFAUsed') = 'Yes', session_is_mfa) as is_mfa,
    case when additional_data ->> 'CredentialType' is not null then [{
      'factor_type_id': {{ cloudtrail_factor_type_id("additional_data ->> 'CredentialType'") }},
      'factor_type': {{ cloudtrail_factor_type("additional_data ->> 'CredentialType'") }}
    }] end as auth_factors,
    case when additional_data ->> 'SamlProviderArn' is not null then 5 end as auth_protocol_id,
    {'name': event_source} as service,
    {{ cloudtrail_src_endpoint() }} as src_endpoint,
    {
      'svc_name': event_source,
      'hostname': coalesce(
          tls_host, nullif(regexp_extract(additional_data ->> 'LoginTo', '^https?://([^/:?#]+)', 1), '')
      )
    } as dst_endpoint,
    {'user_agent': user_agent} as http_request,
    {{ cloudtrail_observables() }} as observables,
    {{ cloudtrail_event(unmapped={"resources": "resources"}) }}
from {{ ref("aws_cloudtrail") }}
where class_uid = 3002
