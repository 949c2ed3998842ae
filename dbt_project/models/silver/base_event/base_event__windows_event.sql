-- Windows events that no route sends elsewhere: published whole, never dropped.
with events as (
    select
        *,
        -- who asked for a certificate
        case
            when event_type in ('security:4886', 'security:4887', 'security:4888', 'security:4889')
                then {{ undeclared_value("Requester") }}
        end as requester
    from {{ ref("windows_event") }}
    where class_uid = 0
)

select
    99 as activity_id,
    coalesce(category, event_type) as activity_name,
    severity_id,
    status_id,
    -- The classic PowerShell log says everything in its text.
    case when event_type like 'windows_powershell:%' then message_text else message end as message,
    {
        -- an event that names nobody was written in the name of somebody
        'user': case
            when requester is not null then {{ windows_account("requester") }}
            when coalesce(subject_user_name, subject_user_sid) is null
                then {{ windows_user("account_name", "account_sid", "account_domain") }}
            else {{ windows_user("subject_user_name", "subject_user_sid", "subject_domain_name") }}
        end,
        'session': {'uid': subject_logon_id},
        'process': {{ windows_process(
            "coalesce(process_name, image)", "process_id", "process_guid", "command_line"
        ) }}
    } as actor,
    device,
    {{ observables([
        observable("device.hostname", 1, "computer_name"),
        observable("actor.user.name", 4, "coalesce(subject_user_name, account_name)"),
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
        "AccountName": null, "Domain": null, "UserID": null, "Requester": null,
        "ProcessName": null, "ProcessId": null, "ProcessGuid": null, "Image": null}')) as unmapped
from events
