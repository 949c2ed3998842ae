-- Event logs that were cleared, backed up, filled or stopped (Security 1100-1108; System 104, 6005, 6006). Who did it
-- stands in the user data.
with read as (
    select
        *,
        {{ undeclared_fields([
            "SubjectUserSid", "SubjectUserName", "SubjectDomainName", "SubjectLogonId", "BackupPath", "Channel",
            "PubID",
        ]) }} as fields
    from {{ ref("windows_event") }}
    where class_uid = 1008
),

events as (
    select
        *,
        coalesce(subject_user_name, {{ field("SubjectUserName") }}) as user_name,
        coalesce(subject_user_sid, {{ field("SubjectUserSid") }}) as user_sid,
        coalesce(subject_domain_name, {{ field("SubjectDomainName") }}) as user_domain,
        coalesce(subject_logon_id, {{ field("SubjectLogonId") }}) as logon_id_of_user,
        {{ field("BackupPath") }} as backup_path
    from read
)

select
    activity_id,
    case event_id
        when 1101 then 'Drop Events' when 1104 then 'Log Full' when 1108 then 'Processing Error'
    end as activity_name,
    -- Microsoft rates "the audit log was cleared" medium to high (Appendix L, Events to Monitor). System 104 is its
    -- twin.
    case when activity_id = 1 then 4 else severity_id end as severity_id,
    -- the event is written when it was done; System 104 and the service's own have no audit flag
    case when event_id in (1101, 1108) then 2 when status_id = 0 and activity_id <> 99 then 1 else status_id end
        as status_id,
    message,
    {
        'user': {{ windows_user("user_name", "user_sid", "user_domain") }},
        'session': {'uid': logon_id_of_user}
    } as actor,
    device,
    -- System 104 and Security 1105 name the log; the others speak of the one that they stand in
    case
        when event_id in (104, 1105) then coalesce({{ field("Channel") }}, channel)
        else channel
    end as log_name,
    coalesce({{ field("PubID") }}, provider_name) as log_provider,
    {{ windows_file("backup_path") }} as file,
    {{ observables([
        observable("device.hostname", 1, "computer_name"),
        observable("actor.user.name", 4, "user_name"),
    ]) }} as observables,
    metadata,
    unmapped
from events
