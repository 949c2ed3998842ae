-- Audit records of Microsoft 365 with their outcome, and the OCSF objects that their mappings share. `family` (staging)
-- says how a record is read: who was changed stands in another place in each service.
with routed as (
    {{ audit_events("microsoft_365", ref("stg_microsoft__365")) }}
),

worded as (
    select * replace ({{ words_of("operation_name") }} as event_words)
    from routed
),

read as (
    select
        event.*,
        coalesce(routed_activity_id, {{ verb_activity("event_words") }}) as activity_id,
        {{ ip_or_null(address_text("client_address")) }} as client_ip,
        {{ address_port("client_address") }} as client_port,
        coalesce(kind.name, event.record_type) as record_type_name,
        error.description as error_text,

        -- ids of the directory: 1 is a name, 5 a principal name, the others may be object ids
        list_filter(actor_ids, lambda each: each.Type = '5' and each.ID <> '')[1].ID as actor_principal,
        list_filter(actor_ids, lambda each: each.Type = '1' and each.ID <> '')[1].ID as actor_title,
        list_filter(actor_ids, lambda each: {{ is_guid("each.ID") }})[1].ID as actor_guid,
        list_filter(target_ids, lambda each: each.Type = '5' and each.ID <> '')[1].ID as target_principal,
        list_filter(target_ids, lambda each: each.Type = '1' and each.ID <> '')[1].ID as target_title,
        list_filter(target_ids, lambda each: {{ is_guid("each.ID") }})[1].ID as target_guid,

        -- what a cmdlet is about
        {{ named_value("parameters", "Identity") }} as identity_parameter,
        coalesce(
            {{ named_value("parameters", "Member") }}, {{ named_value("parameters", "Members") }},
            {{ named_value("parameters", "Links") }}, {{ named_value("parameters", "User") }},
            {{ named_value("parameters", "Trustee") }}, {{ named_value("parameters", "Delegate") }}
        ) as member_parameter,
        coalesce(
            {{ named_value("parameters", "MicrosoftOnlineServicesID") }},
            {{ named_value("parameters", "UserPrincipalName") }}, {{ named_value("parameters", "WindowsLiveID") }},
            {{ named_value("parameters", "Name") }}
        ) as new_name_parameter,
        coalesce(
            {{ named_value("parameters", "AccessRights") }}, {{ named_value("parameters", "Role") }},
            mailbox_item ->> '$.ParentFolder.MemberRights'
        ) as rights,

        -- what changed in the directory
        coalesce(
            {{ changed_value("modified", "'Role.DisplayName', 'AppRole.DisplayName', 'AppRole.Value'") }},
            {{ changed_value("modified", "'Role.DisplayName', 'AppRole.DisplayName', 'AppRole.Value'", "OldValue") }},
            {{ changed_value("modified", "'DelegatedPermissionGrant.Scope'") }},
            {{ changed_value("modified", "'DelegatedPermissionGrant.Scope'", "OldValue") }}
        ) as directory_role,
        -- `[] => [[Id: …, Scope: Mail.Read]]`
        regexp_extract_all(
            {{ changed_value("modified", "'ConsentAction.Permissions'") }}, 'Scope: ([^,\]]+)', 1
        ) as consented,
        list_contains(list_transform(target_ids, lambda each: each.ID), 'ServicePrincipal') as is_principal_target,
        coalesce(
            {{ changed_value("modified", "'Group.DisplayName'") }},
            {{ changed_value("modified", "'Group.DisplayName'", "OldValue") }}
        ) as directory_group,
        coalesce(
            {{ changed_value("modified", "'Group.ObjectID'") }},
            {{ changed_value("modified", "'Group.ObjectID'", "OldValue") }}
        ) as directory_group_uid
    from worded as event
    left join {{ ref("microsoft_365_record_types") }} as kind on kind.code = event.record_type
    left join {{ ref("entra_error_codes") }} as error on error.code = event.error_number
),

named as (
    select
        *,
        -- whom it was done to: a name, an id
        case
            when family = 'directory' then coalesce(target_principal, {{ email_or_null("object_id") }}, target_title)
            when family = 'cmdlet' and class_uid in (3005, 3006) then member_parameter
            when family = 'cmdlet' then coalesce(identity_parameter, new_name_parameter, object_id)
            when family = 'mailbox' then mailbox_item ->> '$.ParentFolder.MemberUpn'
            when family = 'teams' then coalesce(members[1].UPN, members[1].DisplayName)
            when family = 'sign_in' then coalesce(user_id, actor_principal)
            else shared_with
        end as target_name,
        case when family = 'directory' then target_guid when family = 'sign_in' then coalesce(actor_guid, user_key) end
            as target_uid,
        {{ directory_entity_type("event_words") }} as entity_type,
        case
            when contains(event_words, 'channel') then 'Channel'
            when contains(event_words, 'chat') then 'Chat'
            when contains(event_words, 'tab') then 'Tab'
            when regexp_matches(event_words, 'app|bot|connector') then 'Add-on'
            else 'Teams'
        end as thing_type,
        coalesce(
            file_name, nullif(regexp_extract(object_id, '([^/\\]+)[/\\]*$', 1), ''), 'Unknown'
        ) as any_file_name,
        case
            when family = 'directory' and is_principal_target then 4
            when coalesce(target_name, target_uid) is not null then 1
            else 0
        end as target_type_id,
        case
            when item_type = 'Folder' or starts_with(event_type, 'sharepoint:folder') then 2
            when item_type = 'File' or starts_with(event_type, 'sharepoint:file') then 1
            else 99
        end as file_type_id,
        case
            when len(consented) > 0 then list_filter(
                flatten(list_transform(consented, lambda scopes: string_split(scopes, ' '))), lambda scope: scope <> ''
            )
            else regexp_split_to_array(coalesce(directory_role, trim(rights, ' []"')), '"?\s*,\s*"?')
        end as granted
    from read
)

select
    *,
    case when activity_id = 99 then operation_name end as activity_name,
    operation as message,
    case
        when regexp_matches(operation, '(?i)(failed|failure|denied|blocked)$') then 2
        when lower(result_status) in ('succeeded', 'success', 'true') then 1
        when lower(result_status) in ('failed', 'failure', 'false', 'error', 'timeout') then 2
        when result_status is not null then 99
        when is_success then 1
        when not is_success then 2
        -- SharePoint, OneDrive and Teams say what was done, and nothing of its outcome
        when operation = 'UserLoggedIn' or family in ('sharepoint', 'teams') then 1
        else 0
    end as status_id,
    case when status_id = 99 then result_status end as status,
    coalesce(error_number, result_status) as status_code,
    coalesce(logon_error, case when status_id <> 1 then error_text end, result_detail) as status_detail,
    case lower(coalesce(finding_severity, policy_details ->> '$[0].Rules[0].Severity'))
        when 'informational' then 1 when 'low' then 2 when 'medium' then 3 when 'high' then 4
        else 1
    end as severity_id,

    case
        when lower(user_type) in ('2', 'admin', '3', 'dcadmin') then 2
        when lower(user_type) in ('4', 'system', '7', 'custompolicy', '8', 'systempolicy') then 3
        when lower(user_type) in ('5', 'application', '6', 'serviceprincipal') then 4
        when user_type is not null then 1
    end as user_type_id,
    {{ directory_user(
        "coalesce(case when starts_with(user_id, 'ServicePrincipal_') then actor_title end, user_id, actor_principal)",
        "coalesce(case when family in ('directory', 'sign_in') then actor_guid end, nullif(user_key, user_id))",
        full_name="nullif(actor_title, user_id)", type_id="user_type_id"
    ) }} as actor_user,
    {'uid': session_id} as session,
    {'user': actor_user, 'session': session, 'app_name': app_name, 'app_uid': app_id} as actor,
    {{ directory_user("target_name", "target_uid", type_id="target_type_id") }} as target_user,
    {{ client_endpoint() }} as src_endpoint,
    case when user_agent is not null then {'user_agent': user_agent} end as http_request,
    {{ entra_device("device_id", "device_name", "device_os", "device_is_managed", "null::varchar") }} as device,
    {
        'operation': operation,
        'service': {'name': coalesce(workload, 'Microsoft 365')},
        'request': {'uid': correlation_id}
    } as api,
    granted as privileges,
    {
        'name': case family
            when 'directory' then coalesce(directory_group, target_title)
            when 'teams' then team_name
            when 'sharepoint' then coalesce(nullif(regexp_extract(event_data, '<Group>([^<]*)', 1), ''), object_id)
            else coalesce(identity_parameter, new_name_parameter, thing_name, object_id)
        end,
        'uid': case family
            when 'directory' then coalesce(directory_group_uid, case when directory_group is null then target_guid end)
            when 'teams' then team_id
        end,
        'type': case family when 'teams' then 'Team' when 'sharepoint' then 'SharePoint Group' end
    } as any_group,
    {
        'name': coalesce(target_title, target_principal, object_name, object_id),
        'uid': target_guid,
        'type_id': {{ directory_entity_type_id("entity_type") }},
        'type': coalesce(entity_type, 'Other')
    } as entity,
    {
        'name': any_file_name,
        'path': coalesce(
            case when file_name is not null then nullif(concat_ws('/', file_folder, file_name), file_name) end,
            case when object_id not like 'http%' then nullif(object_id, any_file_name) end
        ),
        'parent_folder': file_folder,
        'ext': nullif(file_extension, ''),
        'uid': file_id,
        'size': file_size,
        'url': {'url_string': case when object_id like 'http%' then object_id end},
        'type_id': file_type_id,
        'type': case
            when file_type_id = 99 then coalesce(item_type, 'Other')
            else {{ ocsf_caption("file_hosting", "file.type_id", "file_type_id") }}
        end
    } as file,
    case
        when new_file_name is not null then {
            'name': new_file_name,
            'path': concat_ws('/', new_file_folder, new_file_name),
            'type_id': 1,
            'type': 'Regular File'
        }
    end as file_result,
    list_filter(
        [
            case
                when coalesce(mailbox_owner, mailbox_id) is not null
                    then {'name': mailbox_owner, 'uid': mailbox_id, 'type': 'Mailbox'}
            end,
            case
                when coalesce(thing_name, thing_id) is not null and family = 'teams'
                    then {'name': coalesce(thing_name, 'Unknown'), 'uid': thing_id, 'type': thing_type}
            end,
            case
                when coalesce(team_name, team_id) is not null
                    then {'name': coalesce(team_name, 'Unknown'), 'uid': team_id, 'type': 'Team'}
            end,
            case
                when coalesce(object_id, identity_parameter) is not null then {
                    'name': coalesce(object_name, object_id, identity_parameter),
                    'uid': nullif(case when object_name is not null then object_id end, ''),
                    'type': coalesce(item_type, nullif(regexp_extract(operation, '-(.*)$', 1), ''), workload)
                }
            end
        ],
        lambda each: each is not null
    ) as resources,
    {{ ocsf_metadata(
        "Microsoft", "Microsoft 365", event_code="operation", original_time="created_at", log_name="record_type_name",
        correlation_uid="correlation_id", tenant_uid="tenant_id", feature_name="workload"
    ) }} as metadata
from named
