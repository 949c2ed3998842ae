-- One row per landed activity of Google Workspace, under plain names. An activity is one row, whatever number of events
-- it has: they share actor, address and time, and the account of records stays whole. The row is about the event that
-- Google calls primary (Drive), else the first; what of the others has no attribute stands in `unmapped`.
with bronze as (
    select
        *,
        case
            when json_type(events) = 'ARRAY' then from_json(events, '["JSON"]')
            when json_type(events) = 'OBJECT' then [events]
            when coalesce("name", "type") is not null or parameters is not null
                then [json_object('type', "type", 'name', "name", 'parameters', parameters)]
        end as event_list
    from {{ source("bronze", "google_workspace") }}
),

led as (
    select
        *,
        coalesce(
            list_filter(event_list, lambda event: regexp_matches(
                event::varchar,
                '"name": ?"primary_event", ?"boolValue": ?true|"boolValue": ?true, ?"name": ?"primary_event"'
            ))[1],
            event_list[1]
        ) as lead
    from bronze
),

parameters_read as (
    select
        *,
        case
            when json_type(lead -> 'parameters') = 'ARRAY' then from_json(lead -> 'parameters', '[{
                "name": "VARCHAR", "value": "JSON", "intValue": "JSON", "boolValue": "JSON", "multiValue": "JSON",
                "multiIntValue": "JSON", "multiBoolValue": "JSON", "messageValue": "JSON", "multiMessageValue": "JSON"
            }]')
        end as parameter_list
    from led
)

select
    -- event
    id.applicationName as application,
    trim(lead ->> 'name') as event_name,
    lead ->> 'type' as event_category,
    coalesce(id.applicationName, '') || ':' || coalesce(trim(lead ->> 'name'), '') as event_type,
    id.time as original_time,
    id.customerId as customer_id,
    ownerDomain as owner_domain,
    -- name → value; of a name that comes twice the first
    case
        when json_type(lead -> 'parameters') = 'OBJECT' then lead -> 'parameters'
        when parameter_list is not null then to_json(map_from_entries(list_transform(
            list_distinct(list_transform(
                list_filter(parameter_list, lambda each: each.name is not null and not coalesce(
                    each.value::varchar in ('"-"', '""'), false -- Google has no value here
                )),
                lambda each: each.name
            )),
            lambda parameter: {
                'k': parameter,
                'v': list_transform(
                    list_filter(parameter_list, lambda each: each.name = parameter),
                    lambda each: coalesce(
                        each.value, each.intValue, each.boolValue, each.multiValue, each.multiIntValue,
                        each.multiBoolValue, each.messageValue, each.multiMessageValue
                    )
                )[1]
            }
        )))
    end as params,

    -- who
    nullif(actor.email, '') as actor_email,
    actor.profileId as actor_id,
    actor.key as actor_key,
    actor.callerType as caller_type,
    actor.applicationInfo.oauthClientId as app_id,
    actor.applicationInfo.applicationName as app_name,

    -- from where
    {{ address_text("ipAddress") }} as client_address,
    {{ address_port("ipAddress") }} as client_port,
    networkInfo.ipAsn[1] as as_number,
    networkInfo.regionCode as country_code,
    networkInfo.subdivisionCode as region,

    -- on what
    case
        when json_type(resourceDetails) = 'ARRAY' then from_json(resourceDetails, '["JSON"]')
        when json_type(resourceDetails) = 'OBJECT' then [resourceDetails]
    end as resource_details,

    -- pipeline
    _raw, _event_key, _event_at, _arrived_at, _batch, _source_object, _source_row, _content_hash
from parameters_read
