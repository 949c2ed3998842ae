-- CloudTrail records with their outcome, and the OCSF objects that the mappings of CloudTrail share. Where OCSF's own
-- CloudTrail dossier (github.com/ocsf/examples, AWS v1.5.0) says where a field goes, it goes there.
with routed as (
    select
        event.*,
        coalesce(route.class_uid, 0) as routed_class_uid, -- an event type without a route is a Base Event
        route.activity_id,
        null::varchar as filter,
        case
            when repeated.number > 1 then 'duplicate'
            when filter is not null then 'filtered'
            else 'published'
        end as outcome,
        coalesce(repeated.is_collision and repeated.number = 1, false) as collision,
        case when outcome = 'published' then routed_class_uid end as class_uid -- mappings select by it
    from {{ ref("stg_aws__cloudtrail") }} as event
    left join {{ routes("aws_cloudtrail", ref("stg_aws__cloudtrail")) }} as route using (event_type)
    left join {{ repeated_keys("aws_cloudtrail", ref("stg_aws__cloudtrail")) }} as repeated
        using (_batch, _source_object, _source_row)
),

called as (
    select
        *,
        -- The last part of an ARN names the user, or the session of a role; so does what follows the id of a principal.
        coalesce(
            identity_user_name,
            additional_data ->> 'UserName',
            case identity_type when 'Root' then 'root' when 'AWSService' then identity_invoked_by end,
            nullif(regexp_extract(identity_arn, '/([^/]+)$', 1), ''),
            nullif(regexp_extract(identity_principal, '^[A-Z0-9]+:(.+)$', 1), '')
        ) as caller_name,
        coalesce(identity_arn, identity_principal) as caller_uid,
        -- A service that calls for itself, or for somebody: an AwsServiceEvent is made by the service itself.
        coalesce(identity_invoked_by, case when record_type = 'AwsServiceEvent' then event_source end) as app_name,
        case
            when source_ip is null
                and regexp_full_match(source_address, '[a-z0-9-]+([.][a-z0-9-]+)*[.]amazonaws[.]com([.]cn)?')
                then source_address
        end as source_domain
    from routed
),

named as (
    select
        *,
        -- Who called. Of somebody of whom nothing is known the name is Unknown. The name that AWS hides after a failed
        -- sign-in stays as AWS writes it.
        {
            'name': coalesce(caller_name, case when coalesce(caller_uid, identity_account) is null then 'Unknown' end),
            'uid': caller_uid,
            'uid_alt': coalesce(on_behalf_of_user, case when identity_arn is not null then identity_principal end),
            'type_id': case
                when identity_type in ('IAMUser', 'IdentityCenterUser') then 1
                when identity_type = 'Root' then 2
                when identity_type = 'AWSService' then 4
                when identity_type is not null then 99
            end,
            'type': case
                when identity_type in ('IAMUser', 'IdentityCenterUser') then 'User'
                when identity_type = 'Root' then 'Admin'
                when identity_type = 'AWSService' then 'Service'
                else identity_type
            end,
            'account': {{ aws_account("identity_account") }},
            'programmatic_credentials': case
                when identity_credential is not null then [{
                    'uid': identity_credential,
                    'type': case left(identity_credential, 4)
                        when 'AKIA' then 'Access Key' when 'ASIA' then 'Temporary Access Key'
                    end
                }]
            end
        } as caller
    from called
)

select
    named.*,
    case when activity_id = 99 then event_name end as activity_name,
    -- Failure when the service gave an error, or when the response says so (console sign-ins, password changes).
    case
        when coalesce(error_code, error_message) is not null then 2
        when coalesce(
            {{ json_member("response_elements", "event_name") }}, {{ json_member("service_details", "event_name") }}
        ) in ('Failure', 'Failed') then 2
        else 1
    end as status_id,
    error_code as status_code,
    error_message as status_detail,
    {'provider': 'AWS', 'region': aws_region, 'account': {{ aws_account("recipient_account") }}} as cloud,
    -- A role session is named by its session name; its role is the issuer of the session.
    {
        'user': case
            when app_name is null then caller
            else struct_update(caller, name := caller_name) -- the service is who called: nobody is Unknown
        end,
        'session': {
            'uid': case when session_issuer.arn is not null then identity_principal end,
            'issuer': session_issuer.arn,
            'created_time': {{ iso_millis("session_created") }},
            'is_mfa': session_is_mfa,
            'credential_uid': case when identity_credential like 'ASIA%' then identity_credential end
        },
        'idp': {'name': coalesce(identity_provider, web_identity ->> 'federatedProvider'), 'uid': on_behalf_of_store},
        'app_name': app_name
    } as actor,
    {
        'operation': coalesce(event_name, 'Unknown'),
        'version': api_version,
        'service': {'name': event_source},
        'request': {
            'uid': coalesce(request_id, case when request_parameters is not null then 'Unknown' end),
            'data': request_parameters
        },
        'response': {'error': error_code, 'error_message': error_message, 'data': response_elements}
    } as api,
    -- sourceIPAddress is an address, the DNS name of an AWS service, or "AWS Internal". API Activity needs a source.
    {
        'ip': source_ip,
        'intermediate_ips': forwarding_ips,
        'svc_name': case when source_ip is null then source_address end,
        'domain': source_domain,
        'uid': vpc_endpoint,
        'name': case when class_uid = 6003 and coalesce(source_address, vpc_endpoint) is null then 'Unknown' end
    } as src_endpoint,
    {'user_agent': user_agent} as http_request,
    {{ ocsf_metadata(
        "AWS", "CloudTrail", event_code="record_type", original_time="event_time",
        correlation_uid="shared_event_id", feature_name="event_category", version="event_version"
    ) }} as metadata,
    {{ observables([
        observable("actor.user.name", 4, "nullif(caller_name, 'HIDDEN_DUE_TO_SECURITY_REASONS')"),
        observable("actor.user.uid", 31, "caller_uid"),
        observable("actor.user.programmatic_credentials.uid", 19, "identity_credential"),
        observable("src_endpoint.ip", 2, "source_ip"),
        observable("src_endpoint.domain", 1, "source_domain"),
    ]) }} as observables
from named
