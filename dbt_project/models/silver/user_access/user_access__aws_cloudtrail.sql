-- Privileges given to a principal or taken from it: accounts (IAM Identity Center), clusters (EKS), data (Lake
-- Formation). Policies of IAM users and roles are Account Change, as OCSF has it.
with access as (
    select
        *,
        coalesce(
            request_parameters ->> 'principalId',
            request_parameters ->> 'principalArn',
            request_parameters ->> '$.principal.dataLakePrincipalIdentifier'
        ) as principal_uid,
        request_parameters ->> 'principalType' as principal_type,
        coalesce(request_parameters ->> 'targetId', request_parameters ->> 'name') as resource_uid,
        coalesce(request_parameters ->> 'permissionSetArn', request_parameters ->> 'policyArn') as privilege
    from {{ ref("aws_cloudtrail") }}
    where class_uid = 3005
)

select
    activity_id,
    status_id,
    status_code,
    status_detail,
    {
      'uid': principal_uid,
      'name': coalesce(
          nullif(regexp_extract(principal_uid, '^arn:.*[/:]([^/:]+)$', 1), ''),
          case when principal_uid is null then 'Unknown' end
      ),
      'type_id': case when principal_type = 'USER' then 1 when principal_type is not null then 99 end,
      'type': case when principal_type = 'USER' then 'User' else principal_type end
    } as user,
    case
        when privilege is not null then [privilege]
        else coalesce(nullif((request_parameters ->> '$.permissions[*]'), []), ['Unknown'])
    end as privileges,
    case when resource_uid is not null then [{
      'uid': resource_uid,
      'type': coalesce(
          request_parameters ->> 'targetType', case when event_source like 'eks.%' then 'AWS::EKS::Cluster' end
      )
    }] end as resources,
    src_endpoint,
    http_request,
    observables || {{ observables([observable("user.uid", 31, "principal_uid")]) }} as observables,
    cloud,
    actor,
    api,
    metadata
from access
