-- Entities of Windows that were created, read, changed or deleted: subscriptions of WMI (Sysmon 19-21, WMI-Activity
-- 5857-5861), policies, trusts and audit settings (Security 4706-4739, 4902-4913), rules of the firewall (4944-4957,
-- firewall log), accounts and groups that were listed (4797-4799), objects of the directory (5136-5141), shares
-- (5142-5144), keys and credentials (5058-5061, 5376-5382), jobs of BITS.
with read as (
    select
        *,
        {{ undeclared_fields([
            "EventNamespace", "Namespace", "NamespaceName", "Name", "Query", "Type", "Destination", "Filter", "ESS",
            "PossibleCause", "ProviderName", "ProviderPath", "HostProcess", "ClientMachine", "ClientProcessId",
            "Operation", "ResultCode", "Code", "RuleId", "RuleName", "ProfileChanged", "Profiles", "ActiveProfile",
            "SettingType", "SettingValue", "SettingValueString", "ModifyingUser", "ModifyingApplication",
            "ApplicationPath", "ObjectDN", "OldObjectDN", "NewObjectDN", "ObjectGUID", "ObjectClass",
            "AttributeLDAPDisplayName", "AttributeValue", "OperationType", "ShareName", "ShareLocalPath",
            "SubcategoryGuid", "SubcategoryId", "CategoryId", "AuditPolicyChanges", "DomainPolicyChanged", "DomainName",
            "DomainSid", "DomainBehaviorVersion", "TdoType", "TdoDirection", "TdoAttributes", "KerberosPolicyChange",
            "AuditSourceName", "EventSourceId", "PuaPolicyId", "CrashOnAuditFailValue", "OldSd", "NewSd", "ObjectType",
            "SidList", "KeyName", "KeyType", "KeyFilePath", "AlgorithmName", "ReturnCode", "TargetName",
            "ReadOperation", "BackupFileName", "CallerProcessId", "CallerProcessName", "Workstation", "GPOList",
            "ErrorCode", "jobTitle", "jobId", "jobOwner", "url", "RemoteName", "LocalName", "processPath", "processId",
            "User", "FilterName", "ConsumerName", "ErrorMessage",
        ]) }} as fields,
        coalesce(
            json_extract_string(event_data, '$.CONSUMER'),
            json_extract_string(user_data, '$.*.CONSUMER')[1],
            json_extract_string(event_data, '$.Consumer'),
            json_extract_string(user_data, '$.*.Consumer')[1],
            json_extract_string(_raw, '$.Consumer')
        ) as consumer,
        -- Where a collector takes no user data, or loses event data with line breaks, the text alone says it.
        {% for name in ["Operation", "Name", "Type", "Destination", "User"] -%}
        case
            when event_type like 'sysmon:%' and contains(message_text, '{{ name }}: ')
                then nullif(trim(regexp_extract(message_text, '\n{{ name }}: *([^\r\n]*)', 1)), '')
        end as sysmon_{{ name | lower }},
        {% endfor -%}
        {% for name in ["ClientMachine", "User", "ClientProcessId", "Operation", "ResultCode", "HostProcess",
            "ProviderPath", "Namespace", "NotificationQuery", "Eventfilter", "Consumer", "PossibleCause"] -%}
        case
            when event_type like 'wmi:%' and event_data is null and user_data is null
                then nullif(nullif(trim(regexp_extract(message_text, '\b{{ name }} = ([^;]*)', 1)), ''), 'Unknown')
        end as text_{{ name | lower }},
        {% endfor -%}
        case
            when event_id = 5857 then nullif(regexp_extract(message_text, '^(\S+) provider started', 1), '')
        end as text_provider
    from {{ ref("windows_event") }}
    where class_uid = 3004
),

named as (
    select
        *,
        event_type like 'sysmon:%' as is_sysmon,
        event_type like 'wmi:%' as is_wmi,
        event_type like 'bits:%' as is_bits,
        event_type like 'firewall:%' or event_id between 4944 and 4957 as is_firewall,
        coalesce({{ field("ResultCode") }}, text_resultcode) as result_code,
        coalesce({{ field("ClientProcessId") }}, text_clientprocessid) as client_process_id,
        coalesce({{ field("User") }}, text_user, user_account, sysmon_user) as wmi_user,
        coalesce({{ field("ObjectType") }}, {{ field("ObjectClass") }}) as object_type,
        case
            when is_wmi then text_eventfilter
            when is_firewall then {{ field("RuleName") }}
        end as rule_or_filter
    from read
),

events as (
    select
        *,
        case
            when event_type = 'sysmon:19' then 'WMI Event Filter'
            when event_type = 'sysmon:20' then 'WMI Event Consumer'
            when event_type = 'sysmon:21' or event_type = 'wmi:5861' then 'WMI Event Subscription'
            when event_type = 'wmi:5857' then 'WMI Provider'
            when event_type = 'wmi:5858' then 'WMI Operation'
            when is_wmi then 'WMI Event Subscription'
            when is_bits then 'BITS Job'
            when event_id in (4950, 2002, 2003) then 'Firewall Setting'
            when event_id = 4956 then 'Firewall Profile'
            when is_firewall then 'Firewall Rule'
            when event_id in (4706, 4707, 4716) then 'Domain Trust'
            when event_id = 4797 or event_id = 4798 then 'User'
            when event_id = 4799 then 'Group'
            when
                event_id in (4713, 4714, 4719, 4739, 4793, 4902, 4906, 4908, 4909, 4910, 4912, 6144, 6145)
                then 'Policy'
            when event_id in (4904, 4905) then 'Security Event Source'
            when event_id in (4715, 4817, 4907, 4911, 4913) then coalesce(object_type, 'Object')
            when event_id between 5136 and 5141 then coalesce(object_type, 'Directory Object')
            when event_id between 5142 and 5144 then 'Network Share'
            when event_id in (5058, 5059, 5061) then 'Cryptographic Key'
            else 'Credential'
        end as kind,
        case
            when is_sysmon then coalesce({{ field("Name") }}, trim(consumer), {{ field("Filter") }}, sysmon_name)
            when event_type = 'wmi:5857' then coalesce({{ field("ProviderName") }}, text_provider)
            when event_type = 'wmi:5858' then coalesce({{ field("Operation") }}, text_operation)
            when
                is_wmi
                then coalesce({{ field("ESS") }}, text_eventfilter, {{ field("Query") }}, text_notificationquery)
            when is_bits then {{ field("jobTitle") }}
            when kind = 'Firewall Setting' then {{ field("SettingType") }}
            when kind = 'Firewall Profile' then {{ field("ActiveProfile") }}
            when is_firewall then {{ field("RuleName") }}
            when event_id in (4706, 4707, 4716) then {{ field("DomainName") }}
            when event_id in (4797, 4798, 4799, 4912) then target_user_name
            when event_id = 4719 then coalesce({{ field("SubcategoryId") }}, 'Audit Policy')
            when event_id = 4739 then coalesce({{ field("DomainPolicyChanged") }}, 'Domain Policy')
            when event_id = 4713 then 'Kerberos Policy'
            when event_id = 4714 then 'Data Recovery Agent Policy'
            when event_id = 4793 then 'Password Policy'
            when event_id = 4902 then 'Per-user Audit Policy'
            when event_id = 4906 then 'CrashOnAuditFail'
            when event_id = 4908 then 'Special Groups Logon'
            when event_id in (4909, 4910) then 'TPM Base Services'
            when event_id in (6144, 6145) then {{ field("GPOList") }}
            when event_id in (4904, 4905) then {{ field("AuditSourceName") }}
            when event_id in (4715, 4817, 4907, 4911, 4913) then object_name
            when event_id between 5136 and 5141 then coalesce({{ field("ObjectDN") }}, {{ field("OldObjectDN") }})
            when event_id between 5142 and 5144 then share_name
            when event_id in (5058, 5059, 5061) then {{ field("KeyName") }}
            else coalesce({{ field("TargetName") }}, {{ field("BackupFileName") }})
        end as entity_name,
        case
            when is_bits then {{ field("jobId") }}
            when is_firewall then {{ field("RuleId") }}
            when event_id in (4706, 4707, 4716) then {{ field("DomainSid") }}
            when event_id in (4797, 4798, 4799) then coalesce(target_sid, target_user_sid)
            when event_id = 4719 or event_id = 4912 then {{ field("SubcategoryGuid") }}
            when event_id = 4902 then {{ field("PuaPolicyId") }}
            when event_id in (4904, 4905) then {{ field("EventSourceId") }}
            when event_id in (4715, 4817, 4907, 4911, 4913) then handle_id
            when event_id between 5136 and 5141 then {{ field("ObjectGUID") }}
        end as entity_uid,
        case kind when 'User' then 2 when 'Group' then 3 when 'Policy' then 5 else 99 end as type_id
    from named
)

select
    coalesce(
        activity_id,
        case lower(coalesce({{ field("Operation") }}, sysmon_operation))
            when 'created' then 1 when 'modified' then 3 when 'deleted' then 4 else 99
        end
    ) as activity_id,
    case
        when event_type = 'bits:4' then 'Complete'
    end as activity_name,
    severity_id,
    case
        when event_type = 'wmi:5858' or event_id in (4951, 4952, 4953, 4957, 6145) then 2
        when event_type = 'wmi:5857' and coalesce({{ field("Code") }}, '0x0') <> '0x0' then 2
        when status_id = 0 and (is_wmi or is_firewall or is_bits) then 1
        else status_id
    end as status_id,
    coalesce(
        result_code, {{ field("Code") }}, {{ field("ErrorCode") }}, {{ field("ReturnCode") }}
    ) as status_code,
    coalesce({{ field("PossibleCause") }}, text_possiblecause) as status_detail,
    message,
    {
        'user': case
            when is_sysmon or is_wmi then {{ windows_account("wmi_user") }}
            when is_bits then {{ windows_account("coalesce(" ~ field("jobOwner") ~ ", wmi_user)") }}
            when {{ field("ModifyingUser") }} is not null
                then {{ windows_user("null::varchar", field("ModifyingUser")) }}
            else actor.user
        end,
        'session': actor.session,
        'process': case
            when event_type in ('wmi:5858', 'wmi:5860') or client_process_id is not null
                then {{ windows_process("null::varchar", "client_process_id") }}
            when event_type = 'wmi:5857'
                then
                    {{ windows_process(
                        "coalesce(" ~ field("HostProcess") ~ ", text_hostprocess)", "execution_process_id"
                    ) }}
            when {{ field("ModifyingApplication") }} is not null
                then {{ windows_process(field("ModifyingApplication"), "null::varchar") }}
            when {{ field("CallerProcessName") }} is not null
                then {{ windows_process(field("CallerProcessName"), field("CallerProcessId")) }}
            when is_bits then {{ windows_process(field("processPath"), field("processId")) }}
            else actor.process
        end
    } as actor,
    device,
    {
        'hostname': coalesce({{ field("ClientMachine") }}, text_clientmachine, {{ field("Workstation") }})
    } as src_endpoint,
    {
        'name': coalesce(entity_name, case when entity_uid is null then 'Unknown' end),
        'uid': entity_uid,
        'type_id': type_id,
        'type': kind,
        'user': case
            when event_id in (4797, 4798)
                then
                    {{ windows_user(
                        "target_user_name", "coalesce(target_sid, target_user_sid)", "target_domain_name"
                    ) }}
        end,
        'group': case
            when event_id = 4799 then {
                'name': target_user_name,
                'uid': coalesce(target_sid, target_user_sid),
                'domain': target_domain_name
            }
        end,
        'policy': case when type_id = 5 then {'name': coalesce(entity_name, 'Unknown'), 'uid': entity_uid} end,
        'data': {{ known_json({
            "Namespace": 'coalesce(' ~ field("EventNamespace") ~ ', ' ~ field("Namespace") ~ ', '
                ~ field("NamespaceName")
                ~ ', text_namespace)',
            "Query": field("Query"),
            "Type": 'case when is_sysmon then coalesce(' ~ field("Type") ~ ', sysmon_type) end',
            "Destination": 'coalesce(' ~ field("Destination") ~ ', sysmon_destination)',
            "Consumer": 'coalesce(trim(consumer), text_consumer)',
            "Filter": field("Filter"),
            "ProviderPath": 'coalesce(' ~ field("ProviderPath") ~ ', text_providerpath)',
            "AuditPolicyChanges": field("AuditPolicyChanges"),
            "CategoryId": field("CategoryId"),
            "KerberosPolicyChange": field("KerberosPolicyChange"),
            "CrashOnAuditFailValue": field("CrashOnAuditFailValue"),
            "SidList": field("SidList"),
            "Attribute": field("AttributeLDAPDisplayName"),
            "AttributeValue": field("AttributeValue"),
            "OperationType": field("OperationType"),
            "SettingValue": 'coalesce(' ~ field("SettingValue") ~ ', ' ~ field("SettingValueString") ~ ')',
            "ApplicationPath": field("ApplicationPath"),
            "Profiles": 'coalesce(' ~ field("ProfileChanged") ~ ', ' ~ field("Profiles") ~ ')',
            "ShareLocalPath": "share_local_path",
            "OldSd": field("OldSd"),
            "NewSd": field("NewSd"),
            "TdoType": field("TdoType"),
            "TdoDirection": field("TdoDirection"),
            "KeyType": field("KeyType"),
            "KeyFilePath": field("KeyFilePath"),
            "AlgorithmName": field("AlgorithmName"),
            "ReadOperation": field("ReadOperation"),
            "RemoteName": field("RemoteName"),
            "LocalName": field("LocalName"),
        }) }}
    } as entity,
    case
        when event_id = 5139 then {'name': {{ field("NewObjectDN") }}, 'type_id': 99, 'type': kind}
    end as entity_result,
    {{ observables([
        observable("device.hostname", 1, "computer_name"),
        observable("actor.user.name", 4, "subject_user_name"),
    ]) }} as observables,
    metadata,
    unmapped
from events
