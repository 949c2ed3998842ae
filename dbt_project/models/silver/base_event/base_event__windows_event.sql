-- Windows events that no route sends elsewhere: published whole, never dropped.
select
    99 as activity_id,
    coalesce(category, event_type) as activity_name,
    severity_id,
    status_id,
    -- The classic PowerShell log says everything in its text.
    case when event_type like 'windows_powershell:%' then message_text else message end as message,
    {
        'user': {{ windows_user("subject_user_name", "subject_user_sid", "subject_domain_name") }},
        'session': {'uid': subject_logon_id},
        'process': {{ windows_process("coalesce(process_name, image)", "process_id", "process_guid") }}
    } as actor,
    device,
    {{ observables([
        observable("device.hostname", 1, "computer_name"),
        observable("actor.user.name", 4, "subject_user_name"),
        observable("actor.process.name", 9, windows_file_name("coalesce(process_name, image)")),
    ]) }} as observables,
    metadata,
    -- All fields of the event but those above and the collector's own.
    json_merge_patch('{}', json_merge_patch(coalesce(_raw, '{}'), '{
        "Message": null, "message": null, "EventID": null, "Channel": null, "Hostname": null, "SourceName": null,
        "RecordNumber": null, "ActivityID": null, "Severity": null, "SeverityValue": null, "Level": null,
        "UtcTime": null, "EventTime": null, "TimeCreated": null, "EventReceivedTime": null, "@timestamp": null,
        "@version": null, "host": null, "port": null, "tags": null, "SourceModuleName": null, "SourceModuleType": null,
        "SubjectUserSid": null, "SubjectUserName": null, "SubjectDomainName": null, "SubjectLogonId": null,
        "ProcessName": null, "ProcessId": null, "ProcessGuid": null, "Image": null}')) as unmapped
from {{ ref("windows_event") }}
where class_uid = 0
