-- What Microsoft Defender Antivirus found and did: threats (1006-1015, 1116-1120), and what its rules of attack surface
-- reduction, controlled folder access and network protection blocked (1121-1128). Facts: learn.microsoft.com,
-- "Review event logs and error codes to troubleshoot issues with Microsoft Defender Antivirus".
with read as (
    select
        *,
        {{ undeclared_fields([
            "Threat Name", "Threat ID", "Severity Name", "Severity ID", "Category Name", "Category ID", "Path",
            "FWLink", "Detection ID", "Detection Time", "Detection User", "Remediation User", "Process Name",
            "Process ID", "Origin Name", "Source Name", "Type Name", "Execution Name", "Action Name", "Action ID",
            "Action", "Additional Actions String", "Status Code", "Status Description", "Error Code",
            "Error Description", "Product Name", "Product Version", "Engine Version", "Signature Version",
            "Security intelligence Version", "Domain", "User", "SID", "ID", "RuleType", "Target Commandline",
            "Parent Commandline", "Involved File", "Inhertiance Flags", "Destination", "State", "Resource",
            "Threat Resource Path", "Hashes",
        ]) }} as fields
    from {{ ref("windows_event") }}
    where class_uid = 2004
),

events as (
    select
        *,
        event_id between 1121 and 1128 as is_rule,
        {{ field("Threat Name") }} as threat_name,
        coalesce(
            {{ field("Path") }}, {{ field("Resource") }}, {{ field("Threat Resource Path") }},
            case when event_id = 1120 then {{ undeclared_value('"Threat resource path"') }} end
        ) as resource,
        -- file:_C:\a\x.exe; containerfile:_C:\a\y.zip; process:_pid:123,ProcessStart:…
        nullif(regexp_extract(
            coalesce(regexp_extract(resource, '(?:^|; ?)file:_([^;]+)', 1), ''), '^(.*?)(?:[-]>.*)?$', 1
        ), '') as listed_path,
        case
            when listed_path is not null then listed_path
            when resource not like '%:\_%' escape '\' then resource
        end as file_path,
        {{ field("Process Name") }} as process_path,
        coalesce(
            {{ field("Process ID") }}, nullif(regexp_extract(resource, 'process:_pid:([0-9]+)', 1), '')
        ) as found_process_id,
        coalesce({{ field("Detection User") }}, {{ field("User") }}) as account,
        lower(coalesce({{ field("Action Name") }}, {{ field("Action") }})) as action_name,
        {{ field("Error Code") }} as error_code,
        {{ field("Category Name") }} as threat_category,
        -- Defender's categories, as far as OCSF has them
        case lower(threat_category)
            when 'adware' then 1
            when 'backdoor' then 2
            when 'trojan downloader' then 6
            when 'trojan dropper' then 7
            when 'exploit' then 8
            when 'monitoring software' then 9
            when 'ransomware' then 10
            when 'remote access trojan' then 11
            when 'spyware' then 17
            when 'trojan' then 18
            when 'virus' then 19
            when 'worm' then 22
            else case when threat_category is not null then 99 else 0 end
        end as kind_id
    from read
),

judged as (
    select
        *,
        case
            when event_id in (1121, 1123, 1126, 1127) then 2 -- Blocked
            when event_id in (1122, 1124, 1125, 1128) then 15 -- Detected: what would have been blocked
            when event_id in (1008, 1118, 1119, 1010, 1012) then 27 -- Error
            when event_id in (1006, 1015, 1116, 1120) then 15
            when event_id = 1009 then 9 -- Restored
            when event_id = 1011 then 5 -- Deleted
            when {{ field("Action ID") }} = '1' or action_name like 'clean%' then 11 -- Corrected
            when {{ field("Action ID") }} = '2' or action_name like 'quarantine%' then 3
            when {{ field("Action ID") }} = '3' or action_name like 'remove%' or action_name like 'delete%' then 5
            when {{ field("Action ID") }} = '6' or action_name like 'allow%' then 1
            when {{ field("Action ID") }} = '8' then 99 -- defined by the user
            when {{ field("Action ID") }} = '9' or action_name like 'no action%' then 16
            when {{ field("Action ID") }} = '10' or action_name like 'block%' then 2
            when action_name is not null then 99
        end as outcome_id
    from events
)

select
    activity_id,
    case
        when {{ field("Severity ID") }} = '1' or lower({{ field("Severity Name") }}) = 'low' then 2
        when {{ field("Severity ID") }} = '2' or lower({{ field("Severity Name") }}) in ('moderate', 'medium') then 3
        when {{ field("Severity ID") }} = '4' or lower({{ field("Severity Name") }}) = 'high' then 4
        when {{ field("Severity ID") }} = '5' or lower({{ field("Severity Name") }}) = 'severe' then 5
        else severity_id
    end as severity_id,
    case when outcome_id in (3, 5, 11) then 4 when activity_id = 1 then 1 else 2 end as status_id,
    coalesce(case when error_code not in ('0x0', '0x00000000') then error_code end, {{ field("Status Code") }})
        as status_code,
    coalesce(
        case when error_code not in ('0x0', '0x00000000') then {{ field("Error Description") }} end,
        {{ field("Status Description") }}
    ) as status_detail,
    message,
    true as is_alert,
    case when outcome_id in (2, 3, 5, 11) then 2 when outcome_id in (1, 9, 16) then 1 when outcome_id = 15 then 3 end
        as action_id,
    outcome_id as disposition_id,
    {
        'user': case
            when account is not null and {{ field("Detection User") }} is null
                then {{ windows_user("account", field("SID"), field("Domain")) }}
            else {{ windows_account("account") }}
        end,
        'process': {{ windows_process("process_path", "found_process_id") }}
    } as actor,
    device,
    {
        'uid': coalesce({{ field("Detection ID") }}, metadata.uid),
        'title': coalesce(threat_name, message, 'Unknown'),
        'types': case when threat_category is not null then [threat_category] end,
        'created_time': epoch_ms(try_cast({{ field("Detection Time") }} as timestamptz)),
        'src_url': case when {{ field("FWLink") }} like 'http%' then {{ field("FWLink") }} end,
        'product': {
            'name': coalesce({{ field("Product Name") }}, 'Microsoft Defender Antivirus'),
            'vendor_name': 'Microsoft'
        },
        'analytic': case
            when is_rule and {{ field("ID") }} is not null
                then {'uid': {{ field("ID") }}, 'type_id': 1, 'type': 'Rule'}
        end
    } as finding_info,
    [{
        'process': {{ windows_process("process_path", "found_process_id") }},
        'file': {
            'name': {{ windows_file_name("file_path") }},
            'path': case when {{ windows_file_name("file_path") }} is not null then file_path end,
            'type_id': case when {{ windows_file_name("file_path") }} is not null then 1 end,
            'type': case when {{ windows_file_name("file_path") }} is not null then 'Regular File' end,
            -- SHA1:… with a mark at the end
            'hashes': case
                when {{ windows_file_name("file_path") }} is not null and {{ field("Hashes") }} is not null
                    then {{ windows_hashes(
                        "rtrim(regexp_replace(replace(" ~ field("Hashes") ~ ", ':', '='), '[^\\w=]+', ',', 'g'), ',')"
                    ) }}
            end
        },
        'user': {{ windows_account("account") }},
        'data': {{ known_json({
            "Path": "resource",
            "Origin Name": field("Origin Name"),
            "Source Name": field("Source Name"),
            "Execution Name": field("Execution Name"),
            "Target Commandline": field("Target Commandline"),
            "Involved File": field("Involved File"),
            "Destination": field("Destination"),
        }) }}
    }] as evidences,
    case when threat_name is not null then [{
        'name': threat_name,
        'uid': {{ field("Threat ID") }},
        'classification_ids': [kind_id],
        'classifications': case when kind_id = 99 then [threat_category] end,
        'provider': 'Microsoft Defender Antivirus'
    }] end as malware,
    {{ observables([
        observable("device.hostname", 1, "computer_name"),
        observable("evidences.file.path", 45, "file_path"),
        observable("evidences.process.name", 9, windows_file_name("process_path")),
    ]) }} as observables,
    metadata,
    unmapped
from judged
