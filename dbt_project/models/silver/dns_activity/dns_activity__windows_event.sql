-- Names that a process looked up, with the answers (Sysmon 22).
with events as (
    select
        *,
        try_cast(query_status as integer) as query_error,
        -- Windows DNS errors 9001 to 9010 are the response codes 1 to 10, 9501 is an answer without records
        -- (winerror.h).
        case
            when query_error in (0, 9501) then 0
            when query_error between 9001 and 9010 then query_error - 9000
            when query_error between 9016 and 9018 then query_error - 9000
            when query_error is not null then 99
        end as rcode_id
    from {{ ref("windows_event") }}
    where class_uid = 4003
)

select
    activity_id,
    severity_id,
    case when query_error = 0 then 1 when query_error is not null then 2 else 0 end as status_id,
    query_status as status_code,
    message,
    actor,
    device,
    {'hostname': computer_name} as src_endpoint,
    {'hostname': coalesce(query_name, 'Unknown')} as query,
    -- `type:  5 alias.example;192.0.2.7;` : a number of a record type with its data, or an address.
    list_transform(
        list_filter(string_split(query_results, ';'), lambda answer: trim(answer) <> ''),
        lambda answer: {
            'rdata': regexp_replace(
                trim(regexp_replace(answer, '^type: +[0-9]+ ', '')), '^::[fF]{4}:([0-9]+[.])', '\1'
            ),
            'type': case
                when answer like 'type:%' then case regexp_extract(answer, '^type: +([0-9]+) ', 1)
                    when '2' then 'NS'
                    when '5' then 'CNAME'
                    when '6' then 'SOA'
                    when '12' then 'PTR'
                    when '15' then 'MX'
                    when '16' then 'TXT'
                    when '33' then 'SRV'
                    else regexp_extract(answer, '^type: +([0-9]+) ', 1)
                end
                when answer like '%:%' and answer not ilike '::ffff:%.%' then 'AAAA'
                else 'A'
            end
        }
    ) as answers,
    rcode_id,
    case when rcode_id = 99 then 'Windows error ' || query_error end as rcode,
    {{ observables([
        observable("device.hostname", 1, "computer_name"),
        observable("query.hostname", 1, "query_name"),
        observable("actor.process.name", 9, windows_file_name("image")),
    ]) }} as observables,
    metadata,
    unmapped
from events
