-- Windows services that were installed, changed, started or stopped. The process is the one that asked for it.
with events as (
    select
        *,
        {{ fdr_undeclared(["ServiceDisplayName", "ServiceName"]) }} as service_name,
        {{ fdr_undeclared(["ServiceImagePath"]) }} as service_image_path,
        {{ fdr_undeclared(["ServiceDllPath", "ServiceDll"]) }} as service_dll,
        {{ fdr_undeclared(["ServiceObjectName"]) }} as service_account,
        {{ fdr_undeclared(["ServiceGroup"]) }} as service_group,
        try_cast({{ fdr_undeclared(["ServiceStart", "ServiceStart_decimal"]) }} as integer) as service_start,
        case
            when service_start between 0 and 4 then service_start + 1 when service_start is not null then 99
        end as start_type_id,
        try_cast({{ fdr_undeclared(["ServiceType", "ServiceType_decimal"]) }} as integer) as service_type,
        case
            when service_type = 1 then 1
            when service_type = 2 then 2
            when service_type in (16, 272) then 3
            when service_type in (32, 288) then 4
            when service_type is not null then 99
            else 0
        end as type_id
    from {{ ref("crowdstrike_fdr") }}
    where class_uid = 201004
)

select
    activity_id,
    severity_id,
    status_id,
    action_id,
    disposition_id,
    attacks,
    {{ fdr_actor("coalesce(rpc_client_process_id, context_process_id)") }} as actor,
    {
        'name': coalesce(service_name, 'Unknown'),
        'cmd_line': coalesce(command_line, service_image_path),
        'load_order_group': service_group,
        'service_file': {{ windows_file("coalesce(image_file_name, trim(service_image_path, '\"'))", 8) }},
        'service_dll_file': {{ windows_file("service_dll", 8) }},
        'service_start_name': service_account,
        'service_start_type_id': start_type_id,
        'service_start_type': case
            when start_type_id = 99 then service_start::varchar
            else {{ ocsf_caption("windows_service_activity", "win_service.service_start_type_id", "start_type_id") }}
        end,
        'service_type_id': type_id,
        'service_type': case
            when type_id = 99 then service_type::varchar
            else {{ ocsf_caption("windows_service_activity", "win_service.service_type_id", "type_id") }}
        end
    } as win_service,
    {{ observables([
        observable("device.hostname", 1, "computer_name"),
        observable("actor.user.name", 4, "user_name"),
        observable("win_service.cmd_line", 13, "coalesce(command_line, service_image_path)"),
    ]) }} as observables,
    {{ fdr_unmapped([
        "ServiceDisplayName", "ServiceImagePath", "ServiceObjectName", "ServiceGroup", "ImageFileName", "CommandLine",
        "RpcClientProcessId", "UserName", "UserSid", "AuthenticationId",
    ]) }} as unmapped,
    metadata,
    device
from events
