-- What became of every landed state of a GuardDuty finding.
select
    _event_key,
    _event_at,
    _batch,
    _source_object,
    _source_row,
    event_type,
    routed_class_uid as class_uid,
    outcome as disposition,
    case when outcome = 'filtered' then filter end as filter,
    collision
from {{ ref("aws_guardduty") }}
