-- Network shares, and files on them, that were asked for from another machine (Security 5140, 5145, 5168).
with events as (
    select
        *,
        {{ ip_or_null("ip_address") }} as client_ip,
        coalesce(share_name like '%\IPC$', false) as is_pipe
    from {{ ref("windows_event") }}
    where class_uid = 4006
)

select
    activity_id,
    case event_id when 5140 then 'Share Access' when 5168 then 'SPN Check' end as activity_name,
    severity_id,
    case when event_id = 5168 then 2 else status_id end as status_id,
    message,
    {'user': actor.user, 'session': actor.session} as actor,
    device,
    {'ip': client_ip, 'port': case when client_ip is not null then {{ windows_port("ip_port") }} end} as src_endpoint,
    {'hostname': computer_name} as dst_endpoint,
    coalesce(share_name, {{ undeclared_value("SpnName") }}) as share,
    case
        when is_pipe then 2 when share_name is not null then 1
    end as share_type_id,
    {
        'name': {{ windows_file_name("relative_target_name") }},
        -- as the machine that shares has it, where the log says so; else as the client sees it
        'path': case
            when {{ windows_file_name("relative_target_name") }} is not null
                then concat_ws('\', rtrim(share_name, '\'), relative_target_name)
        end,
        'type_id': case
            when {{ windows_file_name("relative_target_name") }} is not null then case when is_pipe then 6 else 0 end
        end,
        'type': case
            when {{ windows_file_name("relative_target_name") }} is not null
                then case when is_pipe then 'Named Pipe' else 'Unknown' end
        end
    } as file,
    {'direction_id': 1, 'direction': 'Inbound'} as connection_info,
    {{ observables([
        observable("device.hostname", 1, "computer_name"),
        observable("src_endpoint.ip", 2, "client_ip"),
        observable("actor.user.name", 4, "subject_user_name"),
        observable("file.path", 45, "relative_target_name"),
    ]) }} as observables,
    metadata,
    json_merge_patch(unmapped, to_json({
        'AccessMask': access_mask,
        'AccessList': access_list,
        'AccessReason': access_reason,
        'ShareLocalPath': share_local_path
    })) as unmapped
from events
