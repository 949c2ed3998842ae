-- Names that a process looked up, with the answers where the sensor saw them.
with events as (
    select
        *,
        try_cast(query_status as bigint) as query_error,
        {{ fdr_ip("responding_dns_server") }} as server_ip,
        -- the records of an answer, each followed by a semicolon
        flatten(list_transform(
            [
                {'type': 'A', 'records': ip4_records},
                {'type': 'AAAA', 'records': ip6_records},
                {'type': 'CNAME', 'records': cname_records}
            ],
            lambda each: list_transform(
                list_filter(coalesce(string_split(each.records, ';'), []), lambda record: trim(record) <> ''),
                lambda record: {'rdata': trim(record), 'type': each.type}
            )
        )) as found
    from {{ ref("crowdstrike_fdr") }}
    where class_uid = 4003
)

select
    coalesce(activity_id, case when len(found) > 0 or query_error is not null then 6 else 1 end) as activity_id,
    severity_id,
    action_id,
    disposition_id,
    attacks,
    case
        when disposition_id = 2 then 2
        when query_error = 0 or (query_error is null and len(found) > 0) then 1
        when query_error is not null then 2
        else 0
    end as status_id,
    query_status as status_code,
    actor,
    {
        'ip': local_ip,
        'hostname': computer_name,
        'uid': aid,
        'name': case when coalesce(local_ip, computer_name, aid) is null then 'Unknown' end
    } as src_endpoint,
    {'ip': server_ip, 'port': case when server_ip is not null then 53 end} as dst_endpoint,
    {
        'hostname': coalesce(domain_name, 'Unknown'),
        'type': case request_type
            when '1' then 'A' when '2' then 'NS' when '5' then 'CNAME' when '6' then 'SOA' when '12' then 'PTR'
            when '15' then 'MX' when '16' then 'TXT' when '28' then 'AAAA' when '33' then 'SRV' when '64' then 'SVCB'
            when '65' then 'HTTPS' when '255' then 'ANY'
            else nullif(request_type, '0')
        end
    } as query,
    found as answers,
    -- Windows DNS errors 9001 to 9010 are the response codes 1 to 10, 9501 is an answer without records (winerror.h).
    case
        when query_error in (0, 9501) then 0
        when query_error between 9001 and 9010 or query_error between 9016 and 9018 then query_error - 9000
        when query_error is not null then 99
    end as rcode_id,
    case
        when query_error in (0, 9501) then null
        when query_error between 9001 and 9010 or query_error between 9016 and 9018 then null
        else 'Windows error ' || query_error
    end as rcode,
    {{ observables([
        observable("device.hostname", 1, "computer_name"),
        observable("query.hostname", 1, "domain_name"),
        observable("actor.process.name", 9, "coalesce(actor.process.name, context_base_file_name)"),
    ]) }} as observables,
    {{ fdr_unmapped([
        "ContextProcessId", "ContextBaseFileName", "ContextImageFileName", "DomainName", "RequestType",
        "IP4Records", "IP6Records", "CNAMERecords", "QueryStatus", "RespondingDnsServer", "LocalAddressIP4",
        "LocalAddressIP6", "UserName", "UserSid", "UID", "AuthenticationId",
    ]) }} as unmapped,
    metadata,
    case when is_host_known then device end as device
from events
