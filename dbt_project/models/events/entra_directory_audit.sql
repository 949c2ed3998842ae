-- Directory audits of Microsoft Entra ID with their outcome, and the OCSF objects that their mappings share. The roles,
-- groups and scopes of a change stand among the changed properties of its targets.
with routed as (
    {{ audit_events("entra_directory_audit", ref("stg_entra__directory_audit")) }}
),

sorted as (
    select
        *,
        list_filter(targets, lambda target: target.type = 'User')[1] as user_target,
        list_filter(targets, lambda target: target.type = 'Group')[1] as group_target,
        list_filter(targets, lambda target: target.type = 'Role')[1] as role_target,
        list_filter(targets, lambda target: target.type = 'ServicePrincipal') as principal_targets
    from routed
),

read as (
    select
        *,
        coalesce(routed_activity_id, {{ verb_activity("event_words") }}) as activity_id,
        {{ ip_or_null(address_text("client_address")) }} as client_ip,
        {{ address_port("client_address") }} as client_port,
        {{ directory_entity_type("event_words") }} as entity_type,
        coalesce(
            {{ changed_value("modified", "'Role.DisplayName', 'AppRole.DisplayName', 'AppRole.Value'") }},
            {{ changed_value("modified", "'Role.DisplayName', 'AppRole.DisplayName', 'AppRole.Value'", "OldValue") }},
            {{ changed_value("modified", "'DelegatedPermissionGrant.Scope'") }},
            {{ changed_value("modified", "'DelegatedPermissionGrant.Scope'", "OldValue") }},
            nullif(role_target.displayName, ''),
            role_detail
        ) as role_name,
        -- `[] => [[Id: …, Scope: Mail.Read]]`
        regexp_extract_all(
            {{ changed_value("modified", "'ConsentAction.Permissions'") }}, 'Scope: ([^,\]]+)', 1
        ) as consented,
        coalesce(
            nullif(group_target.displayName, ''),
            {{ changed_value("modified", "'Group.DisplayName'") }},
            {{ changed_value("modified", "'Group.DisplayName'", "OldValue") }}
        ) as group_name,
        coalesce(
            nullif(group_target.id, ''),
            {{ changed_value("modified", "'Group.ObjectID'") }},
            {{ changed_value("modified", "'Group.ObjectID'", "OldValue") }}
        ) as group_id,
        coalesce(
            {{ changed_value("modified", "'User.UPN', 'ServicePrincipal.DisplayName'") }},
            {{ changed_value("modified", "'User.UPN', 'ServicePrincipal.DisplayName'", "OldValue") }}
        ) as given_to,
        coalesce(
            {{ changed_value("modified", "'User.ObjectID', 'ServicePrincipal.ObjectID'") }},
            {{ changed_value("modified", "'User.ObjectID', 'ServicePrincipal.ObjectID'", "OldValue") }}
        ) as given_to_id
    from sorted
),

named as (
    select
        *,
        coalesce(
            list_filter(
                targets, lambda target: lower(target.type) = replace(lower(entity_type), ' ', '')
            )[1],
            targets[1]
        ) as entity_target,
        coalesce(
            user_target is null
            and ((given_to is not null and contains(event_words, 'service principal')) or len(principal_targets) > 0),
            false
        ) as is_principal_target,
        -- without a target it was done to oneself: access was elevated, a password changed
        case when len(targets) > 0 then null else user_principal_name end as own_name,
        case when len(targets) > 0 then null else user_id end as own_id,
        coalesce(
            nullif(user_target.userPrincipalName, ''), given_to, nullif(user_target.displayName, ''),
            nullif(principal_targets[1].displayName, ''),
            case
                when class_uid = 3001
                    then coalesce(nullif(targets[1].userPrincipalName, ''), nullif(targets[1].displayName, ''))
            end,
            case when class_uid in (3001, 3005) then own_name end
        ) as target_name,
        coalesce(
            nullif(user_target.id, ''), given_to_id,
            case when given_to is null then nullif(principal_targets[1].id, '') end,
            case when class_uid = 3001 then nullif(targets[1].id, '') end,
            case when class_uid in (3001, 3005) then own_id end
        ) as target_uid
    from read
)

select
    *,
    case when activity_id = 99 then operation end as activity_name,
    operation as message,
    case lower(result)
        when 'success' then 1 when 'succeeded' then 1 when '0' then 1
        when 'failure' then 2 when 'failed' then 2 when 'timeout' then 2 when '1' then 2 when '2' then 2
        else case when result is not null then 99 else 0 end
    end as status_id,
    case when status_id = 99 then result end as status,
    result as status_code,
    result_reason as status_detail,
    case lower(azure_level)
        when '1' then 5 when 'critical' then 5
        when '2' then 4 when 'error' then 4
        when '3' then 3 when 'warning' then 3
        else 1
    end as severity_id,
    case
        when coalesce(user_id, user_principal_name, user_display_name) is not null then struct_insert(
            {{ directory_user(
                "user_principal_name", "user_id", full_name="nullif(user_display_name, user_principal_name)"
            ) }},
            org := {'name': home_tenant_name, 'uid': home_tenant_id}
        )
        when coalesce(principal_id, app_id, app_name, principal_name, identity) is not null then struct_insert(
            {{ directory_user(
                "coalesce(app_name, principal_name, identity)", "coalesce(principal_id, app_id)", type_id="4"
            ) }},
            org := {'name': null::varchar, 'uid': null::varchar}
        )
    end as known_actor,
    {'user': known_actor, 'app_name': app_name, 'app_uid': app_id} as actor,
    {{ directory_user(
        "target_name", "target_uid", full_name="nullif(nullif(user_target.displayName, ''), target_name)",
        type_id="case when is_principal_target then 4 when coalesce(target_name, target_uid) is null then 0 else 1 end"
    ) }} as target_user,
    {{ client_endpoint() }} as src_endpoint,
    case when user_agent is not null then {'user_agent': user_agent} end as http_request,
    {
        'operation': operation,
        'service': {'name': coalesce(service_name, 'Microsoft Entra ID')},
        'request': {'uid': correlation_id}
    } as api,
    case
        when len(consented) > 0 then list_filter(
            flatten(list_transform(consented, lambda scopes: string_split(scopes, ' '))), lambda scope: scope <> ''
        )
        when class_uid = 3005 then list_filter([role_name], lambda each: each is not null)
    end as privileges,
    {'name': group_name, 'uid': group_id} as any_group,
    {
        'name': coalesce(nullif(entity_target.displayName, ''), nullif(entity_target.userPrincipalName, '')),
        'uid': nullif(entity_target.id, ''),
        'type_id': {{ directory_entity_type_id("coalesce(entity_type, entity_target.type)") }},
        'type': coalesce(entity_type, entity_target.type, 'Other')
    } as entity,
    list_transform(
        targets,
        lambda target: {
            'name': coalesce(
                nullif(target.displayName, ''), nullif(target.userPrincipalName, ''),
                case when nullif(target.id, '') is null then 'Unknown' end
            ),
            'uid': nullif(target.id, ''),
            'type': target.type
        }
    ) as resources,
    {{ ocsf_metadata(
        "Microsoft", "Microsoft Entra ID", event_code="operation", original_time="done_at", log_name="category",
        correlation_uid="correlation_id", tenant_uid="tenant_id", feature_name="service_name", log_level="azure_level"
    ) }} as metadata
from named
