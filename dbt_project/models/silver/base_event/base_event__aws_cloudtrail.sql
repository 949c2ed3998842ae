-- CloudTrail records without operation or service, and what an analyst routes here: published whole, never dropped.
select
    99 as activity_id,
    event_type as activity_name,
    status_id,
    status_code,
    status_detail,
    cloud,
    actor,
    api,
    metadata,
    -- the class has no place for where a call came from
    json_merge_patch(coalesce(unmapped, '{}'), to_json({
        'eventSource': case when event_name is null then event_source end,
        'sourceIPAddress': source_address,
        'userAgent': user_agent,
        'vpcEndpointId': vpc_endpoint,
        'insightDetails': insight_details
    })) as unmapped
from {{ ref("aws_cloudtrail") }}
where class_uid = 0
