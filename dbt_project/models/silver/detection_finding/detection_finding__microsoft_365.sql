-- Findings of data loss prevention, alerts of Purview and Defender, and messages and files that Defender refused.
select
    activity_id,
    activity_name,
    severity_id,
    case lower(finding_status)
        when 'investigating' then 2 when 'inprogress' then 2 when 'dismissed' then 3 when 'resolved' then 4
        else case when activity_id = 3 then 4 else 1 end
    end as status_id,
    status_code,
    status_detail,
    message,
    true as is_alert,
    {
        'uid': coalesce(alert_id, incident_id, metadata.uid),
        'title': coalesce(finding_name, policy_details ->> '$[0].PolicyName', subject, operation),
        'desc': finding_comment,
        'types': list_filter(
            [coalesce(finding_category, detection_method, policy_details ->> '$[0].Rules[0].RuleName'), operation],
            lambda each: each is not null
        ),
        'created_time': epoch_ms(_event_at),
        'product': {'name': 'Microsoft 365', 'vendor_name': 'Microsoft'},
        'src_url': deep_link
    } as finding_info,
    list_filter(
        [
            {
                'user': {
                    'name': coalesce(
                        document ->> 'From',
                        message_data ->> 'From',
                        case when alert_entity_type = 'User' then alert_entity end,
                        user_id
                    )
                },
                'src_endpoint': {'ip': coalesce(client_ip, {{ ip_or_null("sender_address") }})},
                'file': case
                    when coalesce(document ->> 'FileName', finding_file, file_name) is not null then {
                        'name': coalesce(document ->> 'FileName', finding_file, file_name),
                        'path': document ->> 'FilePathUrl',
                        'type_id': 1,
                        'type': 'Regular File'
                    }
                end
            }
        ],
        lambda each: coalesce(each.user.name, each.src_endpoint.ip, each.file.name) is not null
    ) as evidences,
    list_filter(
        [
            case
                when alert_entity is not null
                    then {'name': alert_entity, 'type': coalesce(alert_entity_type, 'Other')}
            end
        ],
        lambda each: each is not null
    ) as resources,
    {
        'uid': coalesce(policy_id, policy_details ->> '$[0].PolicyId'),
        'name': policy_details ->> '$[0].PolicyName'
    } as policy,
    actor,
    metadata
from {{ ref("microsoft_365") }}
where class_uid = 2004
