-- Objects of Windows that were asked for, accessed, closed or deleted, and privileged operations (Security 4656-4674,
-- 4690, 4691, 4985, apart from files and registry keys; the clipboard of Sysmon 24).
with read as (
    select
        *,
        {{ undeclared_fields([
            "ObjectType", "Service", "SourceHandleId", "TargetHandleId", "OperationType", "Properties", "NewSd",
            "OldSd", "AdditionalInfo", "ClientInfo", "Session", "TransactionId", "NewState", "PrivilegeList",
        ]) }} as fields
    from {{ ref("windows_event") }}
    where class_uid = 201003
),

events as (
    select
        *,
        event_type = 'sysmon:24' as is_clipboard,
        coalesce({{ field("ObjectType") }}, case when is_clipboard then 'Clipboard' end) as object_type,
        case
            when event_type like 'security:4673%' then coalesce({{ field("Service") }}, object_name)
            when is_clipboard then 'Clipboard'
            else object_name
        end as resource_name,
        -- Windows writes handle 0 where there was none
        nullif(coalesce(handle_id, {{ field("SourceHandleId") }}), '0x0') as resource_uid,
        {% set kinds = ["Directory", "Event", "Timer", "Device", "Mutant", "Type", "File", "Token", "Thread", "Section",
            "WindowStation", "DebugObject", "FilterCommunicationPort", "EventPair", "Driver", "IoCompletion",
            "Controller", "SymbolicLink", "WmiGuid", "Process", "Profile", "Desktop", "KeyedEvent", "Adapter", "Key",
            "WaitablePort", "Callback", "Semaphore", "Job", "Port", "FilterConnectionPort", "ALPC Port", "SAM_ALIAS",
            "SAM_GROUP", "SAM_USER", "SAM_DOMAIN", "SAM_SERVER"] -%}
        case lower(object_type)
            {% for kind in kinds -%}
            when '{{ kind | lower }}' then {{ loop.index }}
            {% endfor -%}
            else case when object_type is not null then 99 else 0 end
        end as type_id
    from read
)

select
    activity_id,
    case
        when event_id = 4658 then 'Close Handle'
        when event_id = 4660 then 'Delete'
        when event_id = 4670 then 'Set Security'
        when event_id = 4690 then 'Duplicate Handle'
        when event_id = 4985 then 'Transaction State Change'
        when is_clipboard then 'Clipboard Change'
    end as activity_name,
    severity_id,
    status_id,
    message,
    {
        'user': actor.user,
        'session': case when is_clipboard then {'uid': {{ field("Session") }}} else actor.session end,
        'process': actor.process,
        'app_name': actor.app_name
    } as actor,
    device,
    {
        'name': coalesce(
            resource_name,
            case when coalesce(resource_uid, {{ field("TransactionId") }}) is null then 'Unknown' end
        ),
        'uid': coalesce(resource_uid, case when event_id = 4985 then {{ field("TransactionId") }} end),
        'uid_alt': {{ field("TargetHandleId") }},
        'type': case
            when type_id = 99 then object_type
            else {{ ocsf_caption("windows_resource_activity", "win_resource.type_id", "type_id") }}
        end,
        'type_id': type_id,
        'svc_name': object_server,
        'details': coalesce({{ field("Properties") }}, {{ field("ClientInfo") }}),
        'data': {{ known_json({
            "OperationType": field("OperationType"),
            "AccessMask": "access_mask",
            "AccessList": "access_list",
            "PrivilegeList": "privilege_list",
            "OldSd": field("OldSd"),
            "NewSd": field("NewSd"),
        }) }}
    } as win_resource,
    {{ observables([
        observable("device.hostname", 1, "computer_name"),
        observable("actor.user.name", 4, "subject_user_name"),
        observable("actor.process.name", 9, windows_file_name("coalesce(image, process_name)")),
    ]) }} as observables,
    metadata,
    unmapped
from events
