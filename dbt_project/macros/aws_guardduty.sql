{#- What the mapping of GuardDuty findings is made of, from the columns of stg_aws__guardduty and aws_guardduty.
    The S3 export writes camelCase, the API PascalCase; every look into JSON takes both. -#}


{#- `a.b` as the JSON paths in both cases. -#}
{% macro guardduty_paths(path) -%}
  {%- set pascal = [] -%}
  {%- for step in path.split(".") -%}{%- do pascal.append(step[0] | upper ~ step[1:]) -%}{%- endfor -%}
  {{ return(["$." ~ path, "$." ~ pascal | join(".")]) }}
{%- endmacro %}

{#- The text at a path of a JSON object; empty text is absence. -#}
{% macro guardduty_text(json, path) -%}
{%- set paths = guardduty_paths(path) -%}
nullif(coalesce({{ json }} ->> '{{ paths[0] }}', {{ json }} ->> '{{ paths[1] }}'), '')
{%- endmacro %}

{% macro guardduty_number(json, path, type="bigint") -%}
try_cast({{ guardduty_text(json, path) }} as {{ type }})
{%- endmacro %}

{#- Degrees of latitude or longitude. -#}
{% macro guardduty_degrees(json, path) -%}
case when {{ guardduty_number(json, path, "double") }} between -180 and 180 then {{ guardduty_number(json, path, "double") }} end
{%- endmacro %}

{% macro guardduty_port(json, path) -%}
case when {{ guardduty_number(json, path) }} between 0 and 65535 then {{ guardduty_number(json, path) }} end
{%- endmacro %}

{#- The elements of a list at a path, as JSON; empty where there is none. -#}
{% macro guardduty_list(json, path) -%}
{%- set paths = guardduty_paths(path) -%}
coalesce(json_extract({{ json }}, '{{ paths[0] }}[*]') || json_extract({{ json }}, '{{ paths[1] }}[*]'), [])
{%- endmacro %}

{#- The elements of a JSON list. -#}
{% macro guardduty_elements(json) -%}
coalesce(json_extract({{ json }}, '$[*]'), [])
{%- endmacro %}

{#- Milliseconds since 1970 of ISO text, UTC where it names no zone, or of seconds since 1970, as the API writes them. -#}
{% macro guardduty_millis(text) -%}
case
      when regexp_full_match({{ text }}, '[0-9]+([.][0-9]+)?([eE][+]?[0-9]+)?') then try_cast(try_cast({{ text }} as double) * 1000 as bigint)
      when regexp_matches({{ text }}, ':[0-9.]+$') then epoch_ms(try_cast({{ text }} as timestamp))
      else {{ iso_millis(text) }}
    end
{%- endmacro %}


{#- One thing that was seen on the network, from an action or from one probe: who was far, who was near. -#}
{% macro guardduty_seen(action) -%}
{
      'remote_ip': coalesce({{ guardduty_text(action, "remoteIpDetails.ipAddressV4") }}, {{ guardduty_text(action, "remoteIpDetails.ipAddressV6") }}),
      'remote_port': {{ guardduty_port(action, "remotePortDetails.port") }},
      'remote_domain': {{ guardduty_text(action, "domainDetails.domain") }},
      'city': {{ guardduty_text(action, "remoteIpDetails.city.cityName") }},
      'country': {{ guardduty_text(action, "remoteIpDetails.country.countryName") }},
      'country_code': {{ guardduty_text(action, "remoteIpDetails.country.countryCode") }},
      'lat': {{ guardduty_degrees(action, "remoteIpDetails.geoLocation.lat") }},
      'lon': {{ guardduty_degrees(action, "remoteIpDetails.geoLocation.lon") }},
      'asn': {{ guardduty_number(action, "remoteIpDetails.organization.asn", "integer") }},
      'as_name': {{ guardduty_text(action, "remoteIpDetails.organization.asnOrg") }},
      'isp': {{ guardduty_text(action, "remoteIpDetails.organization.isp") }},
      'local_ip': coalesce({{ guardduty_text(action, "localIpDetails.ipAddressV4") }}, {{ guardduty_text(action, "localIpDetails.ipAddressV6") }}),
      'local_port': {{ guardduty_port(action, "localPortDetails.port") }},
      'local_interface': {{ guardduty_text(action, "localNetworkInterface") }},
      'data': {{ action }}
    }
{%- endmacro %}

{#- The name of an end that nothing else identifies; NULL of an end of which nothing is said. `known`: SQL of what
    identifies it, `said`: of what is said beside that, first what may stand for a name. -#}
{% macro guardduty_unknown(known, said) -%}
case when coalesce({{ known }}) is null and coalesce({{ said }}) is not null then coalesce({{ said.split(",")[0] }}, 'Unknown') end
{%- endmacro %}

{#- The far side. A service that calls is known by its name alone. -#}
{% macro guardduty_remote_endpoint() -%}
{
        'ip': {{ ip_or_null("seen.remote_ip") }},
        'name': {{ guardduty_unknown(ip_or_null("seen.remote_ip") ~ ", seen.remote_domain",
          "seen.remote_ip, seen.remote_port::varchar, seen.isp, seen.city, seen.country, seen.country_code, seen.lat::varchar"
          ~ ", seen.lon::varchar, seen.asn::varchar, seen.as_name") }},
        'port': seen.remote_port,
        'domain': case when seen.remote_domain not like '%.amazonaws.com' then seen.remote_domain end,
        'svc_name': case when seen.remote_domain like '%.amazonaws.com' then seen.remote_domain end,
        'isp': seen.isp,
        'location': {
          'city': seen.city,
          'country': coalesce(seen.country_code, country_code_of[seen.country]),
          'lat': seen.lat,
          'long': seen.lon
        },
        'autonomous_system': {'number': seen.asn, 'name': seen.as_name}
      }
{%- endmacro %}

{#- The near side of a connection: the instance, or the database whose login was tried. -#}
{% macro guardduty_local_endpoint() -%}
{
        'ip': {{ ip_or_null("coalesce(seen.local_ip, private_ip)") }},
        'port': seen.local_port,
        'name': coalesce(
          case when login_attempt is not null then database_name end,
          {{ guardduty_unknown(ip_or_null("coalesce(seen.local_ip, private_ip)") ~ ", instance_id, seen.local_interface",
            "seen.local_ip, seen.local_port::varchar") }}
        ),
        'instance_uid': instance_id,
        'interface_uid': seen.local_interface
      }
{%- endmacro %}


{#- What one action or probe shows. A call and a login have one end only. -#}
{% macro guardduty_action_evidences() -%}
list_transform(encounters, lambda seen: {
      'name': action_type,
      'src_endpoint': case when is_from_here then seen.near else seen.far end,
      'dst_endpoint': case
        when coalesce(api_call, kubernetes_call, dns_request) is not null then null
        when is_from_here then seen.far
        else seen.near
      end,
      'connection_info': case when coalesce(connection, port_probe, dns_request) is not null then {
        'protocol_name': protocol_name,
        'direction_id': direction_id,
        'direction': {{ ocsf_caption("detection_finding", "evidences.connection_info.direction_id", "direction_id") }}
      } end,
      'query': {'hostname': dns_name},
      'http_request': {'user_agent': user_agent},
      'user': {'name': {{ guardduty_text("login", "user") }}},
      'api': case when operation is not null then {
        'operation': operation,
        'service': {'name': service_name},
        'response': {'code': response_code, 'error': response_error}
      } end,
      'data': seen.data
    })
{%- endmacro %}

{#- The process that Runtime Monitoring found. -#}
{% macro guardduty_process(process) -%}
{
      'name': {{ guardduty_text(process, "name") }},
      'pid': {{ guardduty_number(process, "pid", "integer") }},
      'uid': {{ guardduty_text(process, "uuid") }},
      'created_time': {{ guardduty_millis(guardduty_text(process, "startTime")) }},
      'file': {{ guardduty_file(guardduty_text(process, "executablePath")) }},
      'user': {'name': {{ guardduty_text(process, "user") }}, 'uid': {{ guardduty_text(process, "userId") }}}
    }
{%- endmacro %}

{#- A file by its path; hash: SQL of its SHA-256. -#}
{% macro guardduty_file(path, hash=none) -%}
case when {{ path }} is not null then {
        'name': coalesce(nullif(regexp_extract({{ path }}, '([^/\\]+)[/\\]*$', 1), ''), {{ path }}),
        'path': {{ path }},
        'type_id': 1,
        'type': 'Regular File'
        {%- if hash %},
        'hashes': case when regexp_full_match({{ hash }}, '[0-9a-fA-F]+') then [{
          'algorithm_id': case length({{ hash }}) when 64 then 3 when 40 then 2 when 32 then 1 else 0 end,
          'algorithm': case length({{ hash }}) when 64 then 'SHA-256' when 40 then 'SHA-1' when 32 then 'MD5' else 'Unknown' end,
          'value': {{ hash }}
        }] end
        {%- endif %}
      } end
{%- endmacro %}

{#- Processes, files of a malware scan, and the users and addresses of an attack sequence. -#}
{% macro guardduty_further_evidences() -%}
case when runtime_process is not null then [{
      'name': 'Process',
      'process': process,
      'file': {{ guardduty_file("process.file.path", guardduty_text("runtime_process", "executableSha256")) }},
      'data': runtime
    }] else [] end
    || list_transform(infected_files, lambda entry: {
      'name': 'File',
      'file': {{ guardduty_file("entry.path", "entry.hash") }},
      'data': entry.data
    })
    || list_transform(sequence_actors, lambda entry: {
      'name': 'Actor',
      'user': {'name': {{ guardduty_text("entry", "user.name") }}, 'uid': {{ guardduty_text("entry", "user.uid") }},
               'type': {{ guardduty_text("entry", "user.type") }}},
      'data': entry
    })
    || list_transform(sequence_places, lambda place: {'name': 'Endpoint', 'src_endpoint': place.endpoint, 'data': place.data})
{%- endmacro %}


{#- An address of an attack sequence. -#}
{% macro guardduty_sequence_endpoint(entry) -%}
{
        'ip': {{ ip_or_null(guardduty_text(entry, "ip")) }},
        'uid': {{ guardduty_text(entry, "id") }},
        'name': case when {{ guardduty_text(entry, "id") }} is null then
          coalesce({{ guardduty_text(entry, "domain") }}, {{ guardduty_text(entry, "ip") }}, 'Unknown') end,
        'port': {{ guardduty_port(entry, "port") }},
        'domain': {{ guardduty_text(entry, "domain") }},
        'location': {
          'city': {{ guardduty_text(entry, "location.city") }},
          'country': coalesce(country_code_of[{{ guardduty_text(entry, "location.country") }}], {{ guardduty_text(entry, "location.country") }}),
          'lat': {{ guardduty_degrees(entry, "location.lat") }},
          'long': {{ guardduty_degrees(entry, "location.lon") }}
        },
        'autonomous_system': {
          'number': {{ guardduty_number(entry, "autonomousSystem.number", "integer") }},
          'name': {{ guardduty_text(entry, "autonomousSystem.name") }}
        }
      }
{%- endmacro %}


{#- One resource; every argument is SQL. -#}
{% macro guardduty_resource(type, data, uid="null", name="null", owner_name="null", owner_uid="null", region="aws_region", account="null") -%}
{
      'uid': {{ uid }},
      'name': {{ name }},
      'type': {{ type }},
      'owner': {'name': {{ owner_name }}, 'uid': {{ owner_uid }}, 'account': {'uid': {{ account }}}},
      'region': {{ region }},
      'role_id': case resource_role when 'TARGET' then 1 when 'ACTOR' then 2 end,
      'role': case resource_role when 'TARGET' then 'Target' when 'ACTOR' then 'Actor' end,
      'data': {{ data }}
    }
{%- endmacro %}

{#- One resource of a kind that is one object: its type as CloudFormation names it, and the paths of its id and name. -#}
{% macro guardduty_resource_of(column, type, uid, name=none, owner_name="null", owner_uid="null") -%}
case when {{ column }} is not null then {{ guardduty_resource("'" ~ type ~ "'", column, guardduty_text(column, uid),
      guardduty_text(column, name) if name else "null", owner_name, owner_uid) }} end
{%- endmacro %}

{#- A list of resources of one kind. -#}
{% macro guardduty_resources_of(list, type, uid, name=none, owner_uid=none) -%}
list_transform({{ list }}, lambda entry: {{ guardduty_resource("'" ~ type ~ "'", "entry", guardduty_text("entry", uid),
      guardduty_text("entry", name) if name else "null", "null", guardduty_text("entry", owner_uid) if owner_uid else "null") }})
{%- endmacro %}

{% macro guardduty_resources() -%}
list_filter(
    [
      {{ guardduty_resource_of("instance", "AWS::EC2::Instance", "instanceId") }},
      {{ guardduty_resource_of("access_key", "AWS::IAM::AccessKey", "accessKeyId", "userName",
            guardduty_text("access_key", "userName"), guardduty_text("access_key", "principalId")) }},
      {{ guardduty_resource_of("eks_cluster", "AWS::EKS::Cluster", "arn", "name") }},
      {{ guardduty_resource_of("kubernetes_workload", "Kubernetes Workload", "uid", "name") }},
      {{ guardduty_resource_of("ecs_cluster", "AWS::ECS::Cluster", "arn", "name") }},
      case when {{ guardduty_text("ecs_cluster", "taskDetails.arn") }} is not null then
        {{ guardduty_resource("'AWS::ECS::Task'", "null::json", guardduty_text("ecs_cluster", "taskDetails.arn")) }} end,
      {{ guardduty_resource_of("container", "Container", "id", "name") }},
      {{ guardduty_resource_of("lambda_function", "AWS::Lambda::Function", "functionArn", "functionName") }},
      {{ guardduty_resource_of("rds_instance", "AWS::RDS::DBInstance", "dbInstanceArn", "dbInstanceIdentifier") }},
      {{ guardduty_resource_of("rds_limitless", "AWS::RDS::DBShardGroup", "dbShardGroupArn", "dbShardGroupIdentifier") }},
      {{ guardduty_resource_of("ebs_snapshot", "AWS::EC2::Snapshot", "snapshotArn") }},
      {{ guardduty_resource_of("ec2_image", "AWS::EC2::Image", "imageArn") }},
      {{ guardduty_resource_of("recovery_point", "AWS::Backup::RecoveryPoint", "recoveryPointArn", "backupVaultName") }},
      {{ guardduty_resource_of("bedrock_guardrail", "AWS::Bedrock::Guardrail", "guardrailArn") }}
    ]
    || {{ guardduty_resources_of(guardduty_elements("s3_buckets"), "AWS::S3::Bucket", "arn", "name", "owner.id") }}
    || {{ guardduty_resources_of("s3_objects", "AWS::S3::Object", "objectArn", "key") }}
    || {{ guardduty_resources_of(guardduty_list("ebs_volumes", "scannedVolumeDetails"), "AWS::EC2::Volume", "volumeArn") }}
    || {{ guardduty_resources_of(guardduty_list("ebs_volumes", "skippedVolumeDetails"), "AWS::EC2::Volume", "volumeArn") }}
    || {{ guardduty_resources_of(guardduty_elements("bedrock_models"), "AWS::Bedrock::Model", "modelId") }}
    || list_transform(sequence_resources, lambda entry: {{ guardduty_resource(guardduty_text("entry", "resourceType"), "entry",
          guardduty_text("entry", "uid"), guardduty_text("entry", "name"), "null", "null",
          "coalesce(" ~ guardduty_text("entry", "region") ~ ", aws_region)", guardduty_text("entry", "accountId")) }}),
    lambda entry: coalesce(entry.uid, entry.name) is not null
  )
{%- endmacro %}


{#- Threats that a malware scan named. -#}
{% macro guardduty_malware() -%}
list_transform(threats, lambda entry: {
      'name': coalesce({{ guardduty_text("entry", "name") }}, 'Unknown'),
      'classification_ids': [0],
      'provider': {{ guardduty_text("entry", "source") }},
      'severity': {{ guardduty_text("entry", "severity") }},
      'num_infected': coalesce({{ guardduty_number("entry", "itemCount", "integer") }}, {{ guardduty_number("entry", "count", "integer") }})
    })
{%- endmacro %}

{% macro guardduty_malware_scan() -%}
case when scan_id is not null then {
      'uid': scan_id,
      'type_id': case scan_type when 'ON_DEMAND' then 1 else 99 end,
      'type': case when scan_type is distinct from 'ON_DEMAND' then coalesce(scan_type, 'Unknown') end,
      'start_time': {{ guardduty_millis(guardduty_text("volume_scan", "scanStartedAt")) }},
      'end_time': {{ guardduty_millis(guardduty_text("volume_scan", "scanCompletedAt")) }},
      'num_files': {{ guardduty_number("volume_scan", "scanDetections.scannedItemCount.files", "integer") }},
      'num_volumes': {{ guardduty_number("volume_scan", "scanDetections.scannedItemCount.volumes", "integer") }},
      'num_infected': {{ guardduty_number("volume_scan", "scanDetections.threatsDetectedItemCount.files", "integer") }},
      'unique_malware_count': coalesce(
        {{ guardduty_number("volume_scan", "scanDetections.threatDetectedByName.uniqueThreatNameCount", "integer") }},
        {{ guardduty_number("malware_scan", "uniqueThreatCount", "integer") }}
      )
    } end
{%- endmacro %}

{#- ATT&CK, where AWS gives it: the purpose of the finding type (seed guardduty_threat_purposes), and what an attack
    sequence names. -#}
{% macro guardduty_attacks() -%}
case when purpose.tactic_uid is not null
      then [{'tactic': {'uid': purpose.tactic_uid, 'name': purpose.tactic_name}}] else [] end
    || list_transform(
      list_filter(sequence_techniques, lambda name: regexp_matches(name, '^T[0-9]{4}')),
      lambda name: {
        'technique': {
          'uid': regexp_extract(name, '^(T[0-9]{4})', 1),
          'name': case when not regexp_matches(name, '^T[0-9]{4}[.]') then nullif(regexp_replace(name, '^T[0-9]{4}[ :-]*', ''), '') end
        },
        'sub_technique': {
          'uid': nullif(regexp_extract(name, '^(T[0-9]{4}[.][0-9]{3})', 1), ''),
          'name': case when regexp_matches(name, '^T[0-9]{4}[.]') then nullif(regexp_replace(name, '^T[0-9.]+[ :-]*', ''), '') end
        }
      }
    )
    || list_transform(sequence_tactics, lambda name: {'tactic': {'name': name}})
{%- endmacro %}
