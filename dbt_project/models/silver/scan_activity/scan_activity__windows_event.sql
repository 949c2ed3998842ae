-- Scans of Microsoft Defender Antivirus (1000-1005).
with read as (
    select
        *,
        {{ undeclared_fields([
            "Scan ID", "Scan Type", "Scan Parameters", "Domain", "User", "SID", "Error Code", "Error Description",
        ]) }} as fields
    from {{ ref("windows_event") }}
    where class_uid = 6007
)

select
    activity_id,
    severity_id,
    case when event_id = 1005 then 2 when status_id = 0 and event_id in (1000, 1001) then 1 else status_id end
        as status_id,
    {{ field("Error Code") }} as status_code,
    {{ field("Error Description") }} as status_detail,
    message,
    {'user': {{ windows_user(field("User"), field("SID"), field("Domain")) }}} as actor,
    device,
    {
        'uid': {{ field("Scan ID") }},
        'name': coalesce({{ field("Scan Parameters") }}, case when {{ field("Scan ID") }} is null then 'Unknown' end),
        'type_id': case when {{ field("Scan Type") }} is not null then 99 else 0 end,
        'type': coalesce({{ field("Scan Type") }}, 'Unknown')
    } as scan,
    metadata,
    unmapped
from read
