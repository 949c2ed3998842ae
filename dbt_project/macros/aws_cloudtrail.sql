{#- The objects that every mapping of CloudTrail shares, from the columns of stg_aws__cloudtrail. Where OCSF's own
    CloudTrail dossier (github.com/ocsf/examples, AWS v1.5.0) says where a field goes, it goes there. -#}


{#- The columns that every class of CloudTrail events fills in the same way. `unmapped`: further fields (name → SQL)
    for which the class has no attribute; `status_id` where the class has an enum of its own. -#}
{% macro cloudtrail_event(unmapped={}, status_id=cloudtrail_status_id()) -%}
    {{ status_id }} as status_id,
    error_code as status_code,
    error_message as status_detail,
    metadata,
    {'provider': 'AWS', 'region': aws_region, 'account': {{ aws_account("recipient_account") }}} as cloud,
    {{ cloudtrail_actor() }} as actor,
    {{ cloudtrail_api() }} as api,
    {{ cloudtrail_unmapped(unmapped) }} as unmapped
{%- endmacro %}


{#- Failure when the service gave an error code, or when the response says so (console sign-ins, password changes). -#}
{% macro cloudtrail_status_id() -%}
case
      when error_code is not null then 2
      when coalesce(response_elements ->> event_name, service_details ->> event_name) in ('Failure', 'Failed') then 2
      else 1
    end
{%- endmacro %}


{#- Who called. A role session is named by its session name; its role is the issuer of the session. A service that calls
    for itself, and one that calls for somebody, is the actor's application. -#}
{% macro cloudtrail_actor() -%}
{
      'user': {{ cloudtrail_user("case when " ~ cloudtrail_app_name() ~ " is null then 'Unknown' end") }},
      'session': {
        'uid': case when session_issuer.arn is not null then identity_principal end,
        'issuer': session_issuer.arn,
        'created_time': {{ iso_millis("session_created") }},
        'is_mfa': session_is_mfa,
        'credential_uid': case when identity_credential like 'ASIA%' then identity_credential end
      },
      'idp': {'name': coalesce(identity_provider, web_identity ->> 'federatedProvider'), 'uid': on_behalf_of_store},
      'app_name': {{ cloudtrail_app_name() }}
    }
{%- endmacro %}

{#- An AwsServiceEvent is made by the service itself. -#}
{% macro cloudtrail_app_name() -%}
coalesce(identity_invoked_by, case when record_type = 'AwsServiceEvent' then event_source end)
{%- endmacro %}

{#- fallback: SQL of the name for a caller of whom nothing is known. The name that AWS hides after a failed sign-in
    stays as AWS writes it. -#}
{% macro cloudtrail_user(fallback="'Unknown'") -%}
{
        'name': coalesce(
          {{ cloudtrail_user_name() }},
          case when coalesce(identity_arn, identity_principal, identity_account) is null then {{ fallback }} end
        ),
        'uid': coalesce(identity_arn, identity_principal),
        'uid_alt': coalesce(on_behalf_of_user, case when identity_arn is not null then identity_principal end),
        'type_id': case
          when identity_type in ('IAMUser', 'IdentityCenterUser') then 1
          when identity_type = 'Root' then 2
          when identity_type = 'AWSService' then 4
          when identity_type = 'Unknown' then 0
          when identity_type is not null then 99
        end,
        'type': case
          when identity_type in ('IAMUser', 'IdentityCenterUser') then 'User'
          when identity_type = 'Root' then 'Admin'
          when identity_type = 'AWSService' then 'Service'
          else identity_type
        end,
        'account': {{ aws_account("identity_account") }},
        'programmatic_credentials': case when identity_credential is not null then [{
          'uid': identity_credential,
          'type': case left(identity_credential, 4)
            when 'AKIA' then 'Access Key' when 'ASIA' then 'Temporary Access Key'
          end
        }] end
      }
{%- endmacro %}

{#- The last part of an ARN names the user, or the session of a role; so does what follows the id of a principal. -#}
{% macro cloudtrail_user_name() -%}
coalesce(
          identity_user_name,
          additional_data ->> 'UserName',
          case identity_type when 'Root' then 'root' when 'AWSService' then identity_invoked_by end,
          nullif(regexp_extract(identity_arn, '/([^/]+)$', 1), ''),
          nullif(regexp_extract(identity_principal, '^[A-Z0-9]+:(.+)$', 1), '')
        )
{%- endmacro %}


{% macro cloudtrail_api() -%}
{
      'operation': coalesce(event_name, 'Unknown'),
      'version': api_version,
      'service': {'name': event_source},
      'request': {
        'uid': coalesce(request_id, case when request_parameters is not null then 'Unknown' end),
        'data': request_parameters
      },
      'response': {'error': error_code, 'error_message': error_message, 'data': response_elements}
    }
{%- endmacro %}


{#- From where. sourceIPAddress is an address, the DNS name of an AWS service, or "AWS Internal". -#}
{% macro cloudtrail_src_endpoint() -%}
{
      'ip': source_ip,
      'svc_name': case when source_ip is null then source_address end,
      'domain': case
        when regexp_full_match(source_address, '[a-z0-9-]+([.][a-z0-9-]+)*[.]amazonaws[.]com([.]cn)?')
          then source_address
      end,
      'uid': vpc_endpoint,
      'name': case when coalesce(source_address, vpc_endpoint) is null then 'Unknown' end
    }
{%- endmacro %}

{#- The service that was called. -#}
{% macro cloudtrail_dst_endpoint() -%}
{'svc_name': event_source, 'hostname': tls_host}
{%- endmacro %}


{% macro cloudtrail_resources() -%}
list_transform(resources, lambda resource: {
      'uid': coalesce(resource.ARN, resource.ARNPrefix),
      'name': case when coalesce(resource.ARN, resource.ARNPrefix) is null then 'Unknown' end,
      'type': resource.type,
      'owner': {'account': {'uid': resource.accountId}}
    })
{%- endmacro %}


{#- Pivots of a CloudTrail event; `further` are observables that only one class has. -#}
{% macro cloudtrail_observables(further=[]) -%}
{{ observables([
      observable("actor.user.name", 4, "nullif(" ~ cloudtrail_user_name() ~ ", 'HIDDEN_DUE_TO_SECURITY_REASONS')"),
      observable("actor.user.uid", 31, "coalesce(identity_arn, identity_principal)"),
      observable("actor.user.programmatic_credentials.uid", 19, "identity_credential"),
      observable("src_endpoint.ip", 2, "source_ip"),
    ] + further) }}
{%- endmacro %}


{% macro cloudtrail_unmapped(further={}) -%}
{%- set fields = {
      "userIdentity.sessionContext.sessionIssuer": "case when session_issuer.arn is null"
        ~ " and coalesce(session_issuer.principalId, session_issuer.userName) is not null then session_issuer end",
      "userIdentity.sessionContext.webIdFederationData": "nullif(web_identity, '{}')",
      "userIdentity.sessionContext.sourceIdentity": "source_identity",
      "userIdentity.sessionContext.assumedRoot": "assumed_root",
      "userIdentity.sessionContext.ec2RoleDelivery": "ec2_role_delivery",
      "userIdentity.inScopeOf": "in_scope_of",
      "additionalEventData": "additional_data",
      "serviceEventDetails": "service_details",
      "eventContext": "event_context",
      "edgeDeviceDetails": "edge_device",
      "addendum": "addendum",
      "managementEvent": "management_event",
      "readOnly": "read_only",
      "sessionCredentialFromConsole": "from_console",
      "vpcEndpointAccountId": "vpc_endpoint_account",
      "tlsDetails.tlsVersion": "tls_version",
      "tlsDetails.cipherSuite": "tls_cipher",
    } -%}
{%- do fields.update(further) -%}
{{ unmapped_json(fields) }}
{%- endmacro %}


{#- The OCSF factor of a CredentialType of IAM Identity Center
    (docs.aws.amazon.com/singlesignon/latest/userguide/sign-in-events.html). -#}
{% macro cloudtrail_factor_type_id(credential_type) -%}
case {{ credential_type }}
        when 'PASSWORD' then 11 when 'TOTP' then 7 when 'RESYNC_TOTP' then 7 when 'WEBAUTHN' then 10
        when 'EMAIL_OTP' then 8 else 99
      end
{%- endmacro %}

{% macro cloudtrail_factor_type(credential_type) -%}
case {{ credential_type }}
        when 'PASSWORD' then 'Password' when 'TOTP' then 'OTP' when 'RESYNC_TOTP' then 'OTP'
        when 'WEBAUTHN' then 'WebAuthn' when 'EMAIL_OTP' then 'Email' else {{ credential_type }}
      end
{%- endmacro %}
