-- Falcon events with their outcome, and the OCSF objects that the mappings of Falcon share.
with routed as (
    select
        event.*,
        -- an event type without a route is a Base Event; what the sensor blocked or detected is a finding in any case
        coalesce(
            route.class_uid, case when coalesce(event.disposition_id, 0) > 0 then 2004 else 0 end
        ) as routed_class_uid,
        coalesce(route.activity_id, case when routed_class_uid = 2004 then 1 end) as activity_id,
        null::varchar as filter,
        case
            when repeated.number > 1 then 'duplicate'
            when filter is not null then 'filtered'
            else 'published'
        end as outcome,
        coalesce(repeated.is_collision and repeated.number = 1, false) as collision,
        case when outcome = 'published' then routed_class_uid end as class_uid -- mappings select by it
    from {{ ref("stg_crowdstrike__fdr") }} as event
    left join {{ routes("crowdstrike_fdr", ref("stg_crowdstrike__fdr")) }} as route using (event_type)
    left join {{ repeated_keys("crowdstrike_fdr", ref("stg_crowdstrike__fdr")) }} as repeated
        using (_batch, _source_object, _source_row)
)

select
    routed.*,
    -- The host of the sensor. Its address is its own where an event tells it, else the one that the Falcon cloud sees
    -- (aip, which also stays in unmapped). Events of the cloud name none; classes that ask for one get an unknown one.
    coalesce(computer_name, aid, device_ip) is not null as is_host_known,
    {
        'hostname': computer_name,
        'uid': aid,
        'ip': device_ip,
        'name': case when not is_host_known then 'Unknown' end,
        'type_id': 0,
        'type': 'Unknown',
        'os': {
            'name': os_name,
            'type_id': os_type_id,
            'type': {{ ocsf_caption("base_event", "device.os.type_id", "os_type_id") }}
        }
    } as device,
    {{ fdr_user("user_name", "user_uid", "logon_domain") }} as actor_user,
    {{ fdr_actor() }} as actor,
    case when coalesce(sha256, sha1, md5) is not null then {{ fdr_hashes() }} end as hashes,
    -- What SignInfoFlags says of a binary's signature (CrowdStrike, SIGNATURE_FLAG_*): bit 18 valid, 28 expired,
    -- 29 revoked, 10 broken chain, 11 another hash, 9 none. Without flags nothing is known.
    try_cast(sign_info_flags as bigint) as sign_flags,
    case
        when sign_flags & 536870912 <> 0 then 3
        when sign_flags & 268435456 <> 0 then 2
        when sign_flags & 262144 <> 0 then 1
        when sign_flags & 2048 <> 0 then 9
        when sign_flags & 1024 <> 0 then 10
        else 0
    end as sign_state_id,
    case
        when sign_flags <> 0 and sign_flags & 512 = 0 then [{
            'algorithm_id': 0,
            'algorithm': 'Unknown',
            'state_id': sign_state_id,
            'state': {{ ocsf_caption("module_activity", "module.file.signatures.state_id", "sign_state_id") }}
        }]
    end as signatures,
    {{ ocsf_metadata(
        "CrowdStrike", "Falcon", event_code="event_name", log_name="log_name",
        original_time="original_time", tenant_uid="cid", correlation_uid="tree_id", version="sensor_build"
    ) }} as metadata
from routed
