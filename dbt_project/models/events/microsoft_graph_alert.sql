-- States of Microsoft's alerts with their outcome, and the OCSF objects of findings.
with routed as (
    {{ audit_events("microsoft_graph_alert", ref("stg_microsoft__graph_alert")) }}
),

read as (
    select
        *,
        list_filter(
            list_transform(things, lambda thing: {
                'type': regexp_extract(coalesce(thing."@odata.type", thing.at_sign_odata_type), '[^.]*$'),
                'user_name': coalesce(
                    nullif(thing.userAccount.userPrincipalName, ''), nullif(thing.userAccount.accountName, ''),
                    nullif(thing.primaryAddress, '')
                ),
                'user_id': coalesce(
                    nullif(thing.userAccount.azureAdUserId, ''), nullif(thing.userAccount.userSid, '')
                ),
                'user_domain': nullif(thing.userAccount.domainName, ''),
                'ip': {{ ip_or_null(address_text("thing.ipAddress")) }},
                'country': {{ country_code_or_null("thing.countryLetterCode") }},
                'file': coalesce(thing.fileDetails, thing.imageFile),
                'is_process': thing.processCommandLine is not null or thing.processId is not null,
                'pid': try_cast(nullif(thing.processId, '0') as integer),
                'cmd_line': nullif(thing.processCommandLine, ''),
                'device_id': coalesce(nullif(thing.mdeDeviceId, ''), nullif(thing.azureAdDeviceId, '')),
                'device_name': coalesce(nullif(thing.deviceDnsName, ''), nullif(thing.hostName, '')),
                'os': nullif(thing.osPlatform, ''),
                'url': nullif(thing.url, '')
            }),
            lambda thing: thing is not null
        ) as known_things
    from routed
),

picked as (
    select
        *,
        list_filter(known_things, lambda thing: coalesce(thing.user_name, thing.user_id) is not null)[1] as subject,
        list_filter(known_things, lambda thing: coalesce(thing.device_id, thing.device_name) is not null)[1] as machine
    from read
)

select
    *,
    case
        when status_name = 'resolved' then 3
        when stream is not null then 1 -- a stream tells when it wrote the row, and no update
        when {{ iso_millis("updated_at") }} > {{ iso_millis("created_at") }} + 1000 then 2
        else 1
    end as activity_id,
    case
        when status_name = 'resolved' and lower(classification) = 'falsepositive' then 3
        when status_name = 'resolved' then 4
        when status_name = 'inprogress' then 2
        else 1
    end as status_id,
    case severity_name
        when 'informational' then 1 when 'low' then 2 when 'medium' then 3 when 'high' then 4 when 'critical' then 5
        else 0
    end as severity_id,
    title as message,
    {
        'uid': coalesce(alert_id, _event_key),
        'uid_alt': nullif(provider_alert_id, alert_id),
        'title': coalesce(title, category, 'Alert'),
        'desc': description,
        'types': list_filter([category, threat_name, threat_family], lambda each: each is not null),
        'data_sources': list_filter([service_source, detection_source], lambda each: each is not null),
        'created_time': coalesce({{ iso_millis("created_at") }}, epoch_ms(_event_at)),
        'modified_time': {{ iso_millis("updated_at") }},
        'first_seen_time': {{ iso_millis("first_activity_at") }},
        'last_seen_time': {{ iso_millis("last_activity_at") }},
        'src_url': alert_url,
        'product': {
            'name': coalesce(product_name, service_source, 'Microsoft Defender XDR'), 'vendor_name': 'Microsoft'
        },
        'analytic': case
            when detector_id is not null then {'uid': detector_id, 'type_id': 1, 'type': 'Rule'}
        end,
        'attacks': list_transform(
            list_sort(list_distinct(regexp_extract_all(techniques, 'T[0-9]{4}(?:[.][0-9]{3})?'))),
            lambda technique: {'technique': {'uid': technique, 'name': null::varchar}}
        ),
        'related_events': case when incident_id is not null then [{'uid': incident_id, 'type': 'incident'}] end
    } as finding_info,
    list_transform(
        list_filter(
            known_things,
            lambda thing: coalesce(
                thing.user_name, thing.user_id, thing.ip, thing.file.fileName, thing.cmd_line, thing.url
            ) is not null
        ),
        lambda thing: {
            'name': thing.type,
            'user': case
                when coalesce(thing.user_name, thing.user_id) is not null
                    then {'name': thing.user_name, 'uid': thing.user_id, 'domain': thing.user_domain}
            end,
            'src_endpoint': case
                when thing.ip is not null then {'ip': thing.ip, 'location': {'country': thing.country}}
            end,
            'file': case
                when thing.file.fileName <> '' and not thing.is_process then {
                    'name': thing.file.fileName,
                    'path': nullif(thing.file.filePath, ''),
                    'type_id': 1,
                    'type': 'Regular File',
                    'hashes': list_filter(
                        [
                            {'algorithm_id': 2, 'algorithm': 'SHA-1', 'value': nullif(thing.file.sha1, '')},
                            {'algorithm_id': 3, 'algorithm': 'SHA-256', 'value': nullif(thing.file.sha256, '')}
                        ],
                        lambda hash: hash.value is not null
                    )
                }
            end,
            'process': case
                when thing.is_process then {
                    'pid': thing.pid,
                    'name': coalesce(
                        nullif(thing.file.fileName, ''), case when thing.pid is null then 'Unknown' end
                    ),
                    'cmd_line': thing.cmd_line
                }
            end,
            'data': case when thing.url is not null then json_object('url', thing.url) end
        }
    ) as evidences,
    {'user': case
        when subject is not null then {
            'name': subject.user_name,
            'uid': subject.user_id,
            'domain': subject.user_domain,
            'email_addr': {{ email_or_null("subject.user_name") }},
            'type_id': 1,
            'type': 'User'
        }
    end} as actor,
    case
        when machine is not null then {
            'uid': machine.device_id,
            'hostname': machine.device_name,
            'name': machine.device_name,
            'type_id': 0,
            'type': 'Unknown'
        }
    end as device,
    {'uid': policy_id} as policy,
    {{ ocsf_metadata(
        "Microsoft", "Microsoft Defender XDR", event_code="category", original_time="updated_at", log_name="stream",
        log_provider="service_source", tenant_uid="tenant_id"
    ) }} as metadata
from picked
