-- CloudTrail Insights: an unusual rate of calls or errors, with one record at its start and one at its end. The two
-- share sharedEventID, which is therefore the finding's uid. AWS gives no severity.
select
    case insight_details ->> 'state' when 'Start' then 1 when 'End' then 3 else 99 end as activity_id,
    case coalesce(insight_details ->> 'state', 'Unknown')
        when 'Start' then null when 'End' then null else coalesce(insight_details ->> 'state', 'Unknown')
    end as activity_name,
    0 as severity_id,
    case insight_details ->> 'state' when 'Start' then 1 when 'End' then 4 else 0 end as status_id,
    status_code,
    status_detail,
    true as is_alert,
    {
      'uid': coalesce(shared_event_id, metadata.uid),
      'title': concat_ws(
          ' ', coalesce(insight_details ->> 'insightType', 'CloudTrail Insight'), 'of', event_source, event_name
      ),
      'types': case when insight_details ->> 'insightType' is not null then [insight_details ->> 'insightType'] end,
      'data_sources': ['CloudTrail'],
      'created_time': case when insight_details ->> 'state' = 'Start' then epoch_ms(_event_at) end,
      'product': {'name': 'CloudTrail Insights', 'vendor_name': 'AWS'},
      'analytic': {
        'name': coalesce(insight_details ->> 'insightType', 'CloudTrail Insight'),
        'type_id': 3,
        'type': 'Statistical'
      }
    } as finding_info,
    [{
      'data': insight_details ->> 'insightContext',
      'api': case
          when event_name is not null then {
              'operation': event_name,
              'service': {'name': event_source},
              'response': {'error': insight_details ->> 'errorCode'}
          }
      end
    }] as evidences,
    observables,
    cloud,
    actor,
    api,
    metadata
from {{ ref("aws_cloudtrail") }}
where class_uid = 2004
