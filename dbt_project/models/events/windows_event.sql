-- The Windows events that mappings see: routed to a class, each event once, without filtered ones, with the OCSF
-- objects that several classes publish.
select
    event.*,
    coalesce(route.class_uid, 0) as routed_class_uid, -- an event type without a route is a Base Event
    route.activity_id,
    -- Templates: each is off until the seed `event_filters` says that it is active.
    case
        when list_contains(filters.active, 'endpoint_file_modifications') and routed_class_uid = 1001 and (
            event_type = 'sysmon:2'
            or (event_type = 'sysmon:11' and not coalesce(regexp_matches(target_filename, '(?i)[.]('
                || 'exe|dll|sys|scr|com|cpl|ocx|msi|msp|bat|cmd|ps1|psm1|psd1|vbs|vbe|js|jse|wsf|wsh|hta|lnk|url|jar|'
                || 'py|docm|xlsm|pptm|dotm|xlam|iso|img|vhd|vhdx|zip|rar|7z|cab)$'), false))
        ) then 'endpoint_file_modifications'
        when list_contains(filters.active, 'opened_registry_keys')
            and event_type in ('sysmon:12:createkey', 'sysmon:12:addkey')
            then 'opened_registry_keys'
        when list_contains(filters.active, 'opened_processes')
            and event_type = 'sysmon:10'
            and not coalesce(target_image ilike '%\lsass.exe', false)
            then 'opened_processes'
        when list_contains(filters.active, 'libraries_of_windows')
            and event_type = 'sysmon:7'
            and signature = 'Microsoft Windows'
            and signature_status = 'Valid'
            then 'libraries_of_windows'
        when list_contains(filters.active, 'closed_handles')
            and event_type in ('security:4658', 'security:4690')
            then 'closed_handles'
        when list_contains(filters.active, 'bound_ports')
            and event_type = 'security:5158'
            then 'bound_ports'
    end as filter,
    case
        when repeated.number > 1 then 'duplicate'
        when filter is not null then 'filtered'
        else 'published'
    end as outcome,
    coalesce(repeated.is_collision and repeated.number = 1, false) as collision,
    case when outcome = 'published' then routed_class_uid end as class_uid, -- mappings select by it

    -- who did it: Sysmon names an account and an image, Security audit events name a subject and a process
    {
        'user': case
            when event_type like 'sysmon:%' then {{ windows_account("user_account", "subject_user_sid") }}
            else {{ windows_user("subject_user_name", "subject_user_sid", "subject_domain_name") }}
        end,
        'session': {'uid': subject_logon_id},
        'process': {{ windows_process(
            "coalesce(image, process_name, application)", "process_id", "process_guid", "command_line"
        ) }},
        -- OCSF asks for an actor where a record names none
        'app_name': case
            when coalesce(
                case when event_type like 'sysmon:%' then user_account else subject_user_name end,
                nullif(subject_user_sid, 'S-1-0-0'), subject_logon_id, process_id, process_guid
            ) is null then 'Unknown'
        end
    } as actor,

    -- the computer on which the event happened
    {
        'hostname': computer_name,
        'type_id': 0,
        'type': 'Unknown',
        'os': {'name': 'Windows', 'type_id': 100, 'type': 'Windows'}
    } as device,
    {{ ocsf_metadata(
        "Microsoft", "Windows", event_code="event_code", log_name="channel", log_provider="provider_name",
        log_level="level", original_time="original_time", correlation_uid="correlation_uid", sequence="record_number"
    ) }} as metadata,

    -- leftovers of every header; keywords whose audit flags are the status are none
    json_merge_patch('{}', to_json({
        'Category': category,
        'Keywords': case when status_id = 0 then keywords end,
        'RuleName': rule_name
    })) as unmapped
from {{ ref("stg_windows__event") }} as event
left join {{ routes("windows_event", ref("stg_windows__event")) }} as route using (event_type)
left join {{ repeated_keys("windows_event", ref("stg_windows__event")) }} as repeated
    using (_batch, _source_object, _source_row)
cross join {{ active_filters("windows_event") }} as filters
