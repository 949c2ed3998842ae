-- CloudTrail records without operation or service, and what an analyst routes here: published whole, never dropped.
select
    99 as activity_id,
    event_type as activity_name,
    {{ cloudtrail_event(unmapped={
      "eventSource": "case when event_name is null then event_source end",
      "sourceIPAddress": "source_address",
      "userAgent": "user_agent",
      "vpcEndpointId": "vpc_endpoint",
      "resources": "resources",
      "tlsDetails.clientProvidedHostHeader": "tls_host",
      "insightDetails": "insight_details",
    }) }}
from {{ ref("aws_cloudtrail") }}
where class_uid = 0
