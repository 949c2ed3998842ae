-- States of Entra's risk detections with their outcome, and the OCSF objects of findings.
with routed as (
    {{ audit_events("entra_risk_detection", ref("stg_entra__risk_detection")) }}
),

read as (
    select
        event.*,
        {{ ip_or_null(address_text("client_address")) }} as client_ip,
        {{ address_port("client_address") }} as client_port,
        coalesce(country.code, {{ country_code_or_null("event.country") }}) as country_code,
        lower(risk_state) in ('confirmedsafe', 'remediated', 'dismissed') as is_over,
        case
            when principal_id is not null and user_id is null
                then {{ directory_user("principal_name", "principal_id", type_id="4") }}
            when coalesce(user_id, user_principal_name, user_display_name) is not null
                then {{ directory_user(
                    "user_principal_name", "user_id", full_name="nullif(user_display_name, user_principal_name)"
                ) }}
        end as subject
    from routed as event
    left join {{ ref("country_codes") }} as country on country.name = event.country
)

select
    *,
    case
        when is_over then 3
        when {{ iso_millis("updated_at") }} > {{ iso_millis("detected_at") }} + 1000 then 2
        else 1
    end as activity_id,
    case lower(risk_state) when 'remediated' then 4 when 'confirmedsafe' then 4 when 'dismissed' then 3 else 1 end
        as status_id,
    coalesce(operation_name, 'Risk detection') || ': ' || coalesce(risk_type, 'unknown') as message,
    case risk_level_name when 'low' then 2 when 'medium' then 3 when 'high' then 4 else 1 end as severity_id,
    case risk_level_name when 'low' then 1 when 'medium' then 2 when 'high' then 3 end as risk_level_id,
    {'user': subject, 'app_uid': app_id} as actor,
    {
        'uid': coalesce(detection_id, _event_key),
        'title': coalesce(risk_type, 'unknown'),
        'desc': risk_detail,
        'types': list_filter([risk_type, detected_by], lambda each: each is not null),
        'created_time': coalesce({{ iso_millis("detected_at") }}, epoch_ms(_event_at)),
        'modified_time': {{ iso_millis("updated_at") }},
        'first_seen_time': {{ iso_millis("done_at") }},
        'src_url': alert_url,
        'product': {'name': 'Microsoft Entra ID Protection', 'vendor_name': 'Microsoft'},
        'attacks': list_transform(
            list_filter(
                regexp_extract_all(techniques, 'T[0-9]{4}(?:[.][0-9]{3})?'), lambda technique: technique is not null
            ),
            lambda technique: {'technique': {'uid': technique, 'name': null::varchar}}
        ),
        'related_events': case when request_id is not null then [{'uid': request_id, 'type': 'sign-in'}] end
    } as finding_info,
    list_filter(
        [{
            'user': {'name': subject.name, 'uid': subject.uid},
            'src_endpoint': case
                when coalesce(client_ip, city, country_code) is not null then {
                    'ip': client_ip,
                    'port': client_port,
                    'name': case when client_ip is null then 'Unknown' end,
                    'location': {
                        'city': city,
                        'region': state,
                        'country': country_code,
                        'lat': case when latitude <> 0 or longitude <> 0 then latitude end, -- 0/0 is no place
                        'long': case when latitude <> 0 or longitude <> 0 then longitude end
                    }
                }
            end,
            'http_request': case when user_agent is not null then {'user_agent': user_agent} end
        }],
        lambda each: coalesce(each.user.name, each.user.uid, each.src_endpoint.ip, each.src_endpoint.name) is not null
    ) as evidences,
    {{ ocsf_metadata(
        "Microsoft", "Microsoft Entra ID Protection", event_code="risk_type", original_time="updated_at",
        log_name="category", correlation_uid="correlation_id", tenant_uid="tenant_id"
    ) }} as metadata
from read
