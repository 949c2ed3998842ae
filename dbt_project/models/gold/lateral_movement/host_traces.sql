-- What on a machine is worth a look after a logon from elsewhere: special privileges, new services, encoded PowerShell,
-- access to the memory of LSASS, programs that start with Windows. Whose logon it belongs to is not said here.
with privileges as (
    select
        *,
        'special_privileges' as kind,
        'Special privileges' as title,
        user as account,
        dst_endpoint.hostname as host,
        {{ entry_of(["user"], "identity") }} as identity,
        {{ entry_of(["dst_endpoint", "device"], "asset") }} as asset,
        array_to_string(privileges, ' ') as what,
        null::varchar as detail,
        null::varchar as process_name
    from {{ ref("authorize_session") }}
    where activity_id = 1
),

services as (
    select
        *,
        'service_created' as kind,
        'Service installed' as title,
        actor.user as account,
        device.hostname as host,
        {{ entry_of(["actor.user"], "identity") }} as identity,
        {{ entry_of(["device"], "asset") }} as asset,
        win_service.name as what,
        win_service.cmd_line as detail,
        actor.process.name as process_name
    from {{ ref("windows_service_activity") }}
    where activity_id = 1
),

processes as (
    select
        *,
        activity_id = 1 as is_launch,
        case when is_launch then 'encoded_powershell' else 'lsass_access' end as kind,
        case when is_launch then 'Encoded PowerShell' else 'Access to LSASS' end as title,
        -- of a launch the account that the process runs as, of an access the one that accessed
        {
            'name': coalesce(case when is_launch then process.user.name end, actor.user.name),
            'uid': coalesce(case when is_launch then process.user.uid end, actor.user.uid),
            'type_id': actor.user.type_id
        } as account,
        device.hostname as host,
        {{ entry_of(["actor.user", "process.user"], "identity") }} as identity,
        {{ entry_of(["device"], "asset") }} as asset,
        case when is_launch then process.cmd_line else actor.process.name end as what,
        case when not is_launch then format('0x{:x}', actual_permissions) end as detail,
        case when is_launch then process.name else actor.process.name end as process_name
    from {{ ref("process_activity") }}
    where (
        activity_id = 1
        and lower(process.name) in ('powershell.exe', 'pwsh.exe', 'powershell', 'pwsh')
        -- PowerShell takes any beginning of -EncodedCommand, and -ec
        and len(list_filter(
            regexp_extract_all(process.cmd_line, '(?i)\s[-/](e[a-z]*)\s+["'']?[A-Za-z0-9+/]{16,}', 1),
            lambda word: starts_with('encodedcommand', lower(word)) or lower(word) = 'ec'
        )) > 0
    ) or (
        -- PROCESS_VM_READ is what reading credentials needs; who only asks for information does not have it
        activity_id = 3 and lower(process.name) = 'lsass.exe' and actual_permissions & 16 = 16
    )
),

run_keys as (
    select
        *,
        'run_key' as kind,
        'Run key' as title,
        actor.user as account,
        device.hostname as host,
        {{ entry_of(["actor.user"], "identity") }} as identity,
        {{ entry_of(["device"], "asset") }} as asset,
        reg_value.name as what,
        reg_value.reg_string_data as detail,
        actor.process.name as process_name
    from {{ ref("registry_value_activity") }}
    where activity_id in (1, 2)
        and regexp_matches(
            lower(reg_value.path),
            '\\(currentversion|wow6432node\\microsoft\\windows\\currentversion)'
            || '\\(policies\\explorer\\)?run(once|onceex|services)?$'
        )
),

found as (
    {% for part in ["privileges", "services", "processes", "run_keys"] -%}
    select
        kind, title, time_dt, {'name': account.name, 'uid': account.uid, 'type_id': account.type_id} as account,
        host, identity, asset, what, detail, process_name, metadata.uid as event_uid, type_uid,
        metadata.logged_time as logged_time
    from {{ part }}
    {{ "union all" if not loop.last }}
    {% endfor %}
)

select
    time_dt as _event_at,
    kind,
    title,
    {{ canonical_asset("host", "asset") }} as asset_uid,
    host,
    -- NULL where the record names nobody, or the computer itself
    case when {{ is_somebody("account") }} then {{ canonical_user("account", "identity") }} end as user_uid,
    case when {{ is_somebody("account") }} then lower(account.name) end as user_name,
    what,
    detail,
    process_name,
    event_uid,
    type_uid,
    logged_time
from found
where host is not null
