-- One row per landed audit record of Microsoft 365, under plain names. `family` says by which rules a record is read:
-- many services use one schema, and an operation means something only beside its service.
with named as (
    select
        *,
        trim(Operation, ' .') as operation_name,
        case
            when
                RecordType in ('9', '15', 'AzureActiveDirectoryAccountLogon', 'AzureActiveDirectoryStsLogon')
                or Operation in ('UserLoggedIn', 'UserLoginFailed', 'UserLoggedOff')
                then 'sign_in'
            when RecordType in ('8', 'AzureActiveDirectory') or Workload = 'AzureActiveDirectory' then 'directory'
            when
                RecordType in ('11', '13', '33', '63', '99', '100', '107') or RecordType like '%DLP%'
                or Operation in ('DlpRuleMatch', 'DlpRuleUndo', 'DlpInfo')
                then 'dlp'
            when RecordType in ('40', 'SecurityComplianceAlerts') or regexp_matches(Operation, '^Alert[A-Z]')
                then 'alert'
            when
                RecordType in (
                    '28', '41', '47', '64', 'ThreatIntelligence', 'ThreatIntelligenceUrl',
                    'ThreatIntelligenceAtpContent', 'AirInvestigation'
                )
                then 'threat'
            when RecordType in ('2', '3', '19', '50') or RecordType like 'ExchangeItem%' then 'mailbox'
            when regexp_matches(Operation, '^[A-Z][A-Za-z]+-[A-Z]') then 'cmdlet'
            when Workload = 'Exchange' then 'mailbox'
            when
                RecordType in ('4', '6', '7', '14', '36', '37', '54', '55', '56')
                or RecordType like 'SharePoint%' or Workload in ('SharePoint', 'OneDrive')
                then 'sharepoint'
            when RecordType in ('25', '57') or RecordType like 'MicrosoftTeams%' or Workload = 'MicrosoftTeams'
                then 'teams'
            else 'other'
        end as family,
        {{ name_values("ExtendedProperties") }} as extended,
        {{ name_values("Parameters") }} as named_parameters,
        {{ name_values("DeviceProperties") }} as device_properties,
        json_transform(
            ModifiedProperties, '[{"Name": "VARCHAR", "OldValue": "JSON", "NewValue": "JSON"}]'
        ) as modified
    from {{ source("bronze", "microsoft_365") }}
)

select
    -- event
    family || ':' || lower(operation_name) as event_type,
    family,
    operation_name,
    Operation as operation,
    RecordType as record_type,
    Workload as workload,
    CreationTime as created_at,
    OrganizationId as tenant_id,
    nullif(OrganizationName, '') as tenant_name,

    -- outcome
    nullif(ResultStatus, '') as result_status,
    IsSuccess as is_success,
    nullif(LogonError, '') as logon_error,
    nullif(ErrorNumber, '') as error_number,
    {{ named_value("extended", "ResultStatusDetail") }} as result_detail,

    -- who
    nullif(UserId, '') as user_id,
    nullif(nullif(UserKey, ''), 'Not Available') as user_key,
    UserType as user_type,
    Actor as actor_ids,
    Target as target_ids,

    -- client
    coalesce(nullif(ClientIP, ''), nullif(ClientIPAddress, ''), nullif(ActorIpAddress, '')) as client_address,
    coalesce(
        nullif(UserAgent, ''),
        {{ named_value("extended", "UserAgent") }},
        {{ named_value("extended", "User-Agent") }},
        nullif(ClientInfoString, '')
    ) as user_agent,
    coalesce(
        nullif(SessionId, ''), AppAccessContext.AADSessionId, {{ named_value("device_properties", "SessionId") }}
    ) as session_id,
    coalesce(
        nullif(ApplicationId, ''), nullif(AppId, ''), nullif(ClientAppId, ''), AppAccessContext.ClientAppId
    ) as app_id,
    coalesce(nullif(ApplicationDisplayName, ''), AppAccessContext.ClientAppName) as app_name,
    coalesce(nullif(CorrelationId, ''), AppAccessContext.CorrelationId, nullif(InterSystemsId, '')) as correlation_id,
    {{ named_value("device_properties", "Id") }} as device_id,
    coalesce(nullif(DeviceName, ''), {{ named_value("device_properties", "DisplayName") }}) as device_name,
    {{ named_value("device_properties", "OS") }} as device_os,
    coalesce(
        IsManagedDevice, try_cast({{ named_value("device_properties", "IsCompliantAndManaged") }} as boolean)
    ) as device_is_managed,
    {{ named_value("extended", "RequestType") }} as request_type,

    -- on what
    case when ObjectId not in ('', 'Not Available', 'Unknown') then ObjectId end as object_id,
    nullif(ModifiedObjectResolvedName, '') as object_name,
    ItemType as item_type,
    named_parameters as parameters,
    modified,
    nullif(MailboxOwnerUPN, '') as mailbox_owner,
    nullif(MailboxGuid, '') as mailbox_id,
    Item as mailbox_item,

    -- files
    nullif(SourceFileName, '') as file_name,
    nullif(SourceRelativeUrl, '') as file_folder,
    nullif(SourceFileExtension, '') as file_extension,
    nullif(DestinationFileName, '') as new_file_name,
    nullif(DestinationRelativeUrl, '') as new_file_folder,
    ListItemUniqueId as file_id,
    FileSizeBytes as file_size,
    nullif(SiteUrl, '') as site_url,
    coalesce(nullif(TargetUserOrGroupName, ''), nullif(UserSharedWith, '')) as shared_with,
    TargetUserOrGroupType as shared_with_type,
    coalesce(nullif(ListTitle, ''), nullif(WebTitle, '')) as list_title,

    -- Teams
    nullif(TeamName, '') as team_name,
    coalesce(nullif(TeamGuid, ''), nullif(AADGroupId, '')) as team_id,
    Members as members,
    coalesce(
        nullif(ChannelName, ''), nullif(ChatName, ''), nullif(AddOnName, ''), nullif(Name, ''), nullif(GroupName, '')
    ) as thing_name,
    coalesce(nullif(ChannelGuid, ''), nullif(ChatThreadId, ''), nullif(AddOnGuid, '')) as thing_id,

    -- findings
    nullif(AlertId, '') as alert_id,
    nullif(IncidentId, '') as incident_id,
    nullif(Name, '') as finding_name,
    Category as finding_category,
    Comments as finding_comment,
    Severity as finding_severity,
    Status as finding_status,
    nullif(PolicyId, '') as policy_id,
    PolicyDetails as policy_details,
    SharePointMetaData as document,
    ExchangeMetaData as message_data,
    EndpointMetaData as endpoint_data,
    AlertEntityId as alert_entity,
    EntityType as alert_entity_type,
    nullif(P2Sender, '') as sender,
    nullif(SenderIp, '') as sender_address,
    nullif(Subject, '') as subject,
    nullif(NetworkMessageId, '') as message_id,
    nullif(FileName, '') as finding_file,
    nullif(Url, '') as clicked_url,
    EventData as event_data,
    EventDeepLink as deep_link,
    coalesce(nullif(DetectionMethod, ''), nullif(DetectionType, '')) as detection_method,

    -- pipeline
    coalesce(_record, _raw) as _raw, _event_key, _event_at, _arrived_at, _batch, _source_object, _source_row,
    _content_hash
from named
