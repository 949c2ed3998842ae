-- What people did in the Falcon console and clients did with its API (AuthActivityAuditEvent, UserActivityAuditEvent).
with events as (
    select
        *,
        {{ fdr_undeclared(["OperationName"]) }} as operation,
        {{ fdr_undeclared(["ServiceName"]) }} as service_name,
        {{ fdr_undeclared(["UserId"]) }} as console_user,
        {{ fdr_undeclared(["UserIp"]) }} as console_address,
        {{ fdr_ip("console_address") }} as console_ip,
        {{ fdr_undeclared(["Success"]) }} as success,
        {{ fdr_audit_value(["actor_user_uuid"]) }} as console_uid,
        {{ fdr_audit_value(["target_name", "target_user", "name", "APIClientID", "id"]) }} as target_name,
        {{ fdr_audit_value(["target_user_uuid", "target_uuid", "APIClientID", "id"]) }} as target_uid,
        {{ fdr_audit_value(["trace_id"]) }} as trace_id,
        -- a request to the API
        {{ fdr_audit_value(["user_agent"]) }} as agent,
        {{ fdr_audit_value(["request_method"]) }} as method,
        {{ fdr_audit_value(["request_path"]) }} as url_path,
        {{ fdr_audit_value(["status_code"]) }} as response_code,
        -- createUser, update_policy, detection_update, CreateAPIClient
        lower(regexp_replace(coalesce(operation, ''), '([a-z])([A-Z])', '\1_\2', 'g')) as words,
        case
            when regexp_matches(words, '(^|_)(create|add|grant|enroll|upload|generate)(d|ed)?(_|$)') then 1
            when regexp_matches(words, '(^|_)(delete|remove|revoke)(d)?(_|$)') then 4
            when regexp_matches(words, '(^|_)(update|set|change|reset|enable|disable|assign|edit)(d|ed)?(_|$)') then 3
            when regexp_matches(words, '(^|_)(get|read|list|view|reveal|download|export|query|search)(ed)?(_|$)') then 2
            else 99
        end as operation_id
    from {{ ref("crowdstrike_fdr") }}
    where class_uid = 6003
)

select
    operation_id as activity_id,
    case when operation_id = 99 then coalesce(operation, event_name) end as activity_name,
    severity_id,
    -- of a request `Success` says that it was logged
    case
        when try_cast(response_code as integer) >= 400 then 2
        else case success when 'true' then 1 when 'false' then 2 else 0 end
    end as status_id,
    action_id,
    disposition_id,
    attacks,
    {'user': {{ fdr_console_user("coalesce(console_user, 'Unknown')", "console_uid") }}} as actor,
    {
        'operation': coalesce(operation, event_name, 'Unknown'),
        'service': {'name': service_name},
        'request': {'uid': trace_id},
        'response': {'code': {{ fdr_number("response_code", 0, 999) }}}
    } as api,
    {'user_agent': agent, 'http_method': method, 'url': {'path': url_path}} as http_request,
    {'ip': console_ip, 'name': case when console_ip is null then 'Unknown' end} as src_endpoint,
    case
        when coalesce(target_name, target_uid) is not null then [{'name': target_name, 'uid': target_uid}]
    end as resources,
    {{ observables([
        observable("actor.user.name", 4, "console_user"),
        observable("src_endpoint.ip", 2, "console_ip"),
    ]) }} as observables,
    {{ fdr_unmapped(["OperationName", "ServiceName", "UserId", "UserIp", "Success"]) }} as unmapped,
    metadata,
    case when is_host_known then device end as device
from events
