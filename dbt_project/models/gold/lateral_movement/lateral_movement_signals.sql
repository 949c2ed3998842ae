-- Candidates whose score is a signal (seed signal_severities), with their severity and the ATT&CK techniques of what
-- holds: the way of the logon, and those of the factors.
{{ config(materialized="ephemeral") }}
with signals as (
    select candidate.*, severity.severity_id
    from {{ ref("lateral_movement_candidates") }} as candidate
    join {{ ref("signal_severities") }} as severity
        on severity.product = 'lateral_movement'
        and candidate.score >= severity.from_score and candidate.score < severity.below_score
),

-- how the logon came about says more than T1021 by itself
techniques as (
    select
        held.finding_uid,
        list(distinct {
            'tactic': {'uid': factor.tactic_uid, 'name': factor.tactic_name},
            'technique': {'uid': factor.technique_uid, 'name': factor.technique_name},
            'sub_technique': {'uid': factor.sub_technique_uid, 'name': factor.sub_technique_name}
        }) as techniques
    from (select finding_uid, unnest(factors, recursive := true) from signals) as held
    join {{ ref("signal_factors") }} as factor
        on factor.product = 'lateral_movement' and factor.factor = held.factor
    where factor.weight > 0 and factor.technique_uid is not null and factor.technique_uid <> 'T1021'
    group by held.finding_uid
)

select
    signals.*,
    list_transform(factors, lambda each: each.factor) as names,
    list_sort(
        list_transform(
            list_distinct(list_transform(logon_types, lambda type: type in (10, 12))),
            lambda is_desktop: {
                'tactic': {'uid': 'TA0008', 'name': 'Lateral Movement'},
                'technique': {'uid': 'T1021', 'name': 'Remote Services'},
                'sub_technique': case
                    when is_desktop then {'uid': 'T1021.001', 'name': 'Remote Desktop Protocol'}
                    else {'uid': 'T1021.002', 'name': 'SMB/Windows Admin Shares'}
                end
            }
        ) || coalesce(techniques.techniques, [])
    ) as attacks
from signals
left join techniques using (finding_uid)
