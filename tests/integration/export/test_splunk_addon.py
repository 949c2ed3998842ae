"""The add-on parses, names only what OCSF and the CIM have, and is written the same every time."""

from __future__ import annotations

import configparser
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from ocsf_json_schema import get_ocsf_schema

from lake.export.destinations.splunk.addon import INDEXED, files, paths_of, write_addon
from lake.export.destinations.splunk.events import declared
from lake.ocsf.attributes import load_declaration

ATTRIBUTES = load_declaration(Path(__file__).parents[3] / "dbt_project/ocsf/attributes.yml")
CLASSES: dict[str, Any] = declared()["classes"]
_CLASSES = get_ocsf_schema(ATTRIBUTES.version)["classes"]
MODELLED = {name: told for name, told in CLASSES.items() if "dataset" in told}

# The fields that the CIM publishes for each dataset, of which add-ons fill what they can.
_ACCOUNTS = """src_user src_user_name src_user_type"""
_CHANGES = """action change_type command dest dvc object object_attrs object_category object_id object_path result
    result_id src status user user_agent user_name user_type vendor_account vendor_product vendor_region"""
CIM = {
    "Authentication": """action app authentication_method authentication_service dest duration reason response_time
        signature signature_id src src_user src_user_role src_user_type user user_agent user_id user_role user_type
        vendor_account""",
    "Network_Traffic.All_Traffic": """action app bytes bytes_in bytes_out channel dest dest_interface dest_ip dest_mac
        dest_port dest_translated_ip dest_translated_port dest_zone direction duration dvc dvc_ip dvc_mac dvc_zone
        flow_id icmp_code icmp_type packets packets_in packets_out process_id protocol protocol_version response_time
        rule session_id src src_interface src_ip src_mac src_port src_zone tcp_flag tos transport ttl user
        vendor_account vendor_product vlan""",
    "Network_Resolution.DNS": """additional_answer_count answer answer_count authority_answer_count dest duration
        message_type name query query_count query_type record_type reply_code reply_code_id response_time src
        transaction_id transport ttl vendor_product""",
    "Endpoint.Processes": """action cpu_load_percent dest loaded_file mem_used original_file_name os parent_process
        parent_process_exec parent_process_guid parent_process_hash parent_process_id parent_process_name
        parent_process_path process process_current_directory process_exec process_guid process_hash process_id
        process_integrity_level process_name process_path user user_id vendor_product""",
    "Endpoint.Filesystem": """action dest file_access_time file_acl file_create_time file_hash file_modify_time
        file_name file_path file_size process_guid process_id user vendor_product""",
    "Endpoint.Registry": """action dest process_guid process_id registry_hive registry_key_name registry_path
        registry_value_data registry_value_name registry_value_text registry_value_type status user vendor_product""",
    "Endpoint.Services": """description dest process_guid process_id service service_dll service_dll_hash
        service_dll_path service_exec service_hash service_id service_name service_path start_mode status user
        vendor_product""",
    "Change.All_Changes": _CHANGES,
    "Change.Account_Management": f"{_CHANGES} {_ACCOUNTS}",
    "Alerts": """app description dest dest_type id mitre_technique_id severity severity_id signature signature_id src
        src_type subject type user user_name vendor_account vendor_region""",
}
TAGS = {
    "Authentication": ["authentication"],
    "Network_Traffic.All_Traffic": ["network", "communicate"],
    "Network_Resolution.DNS": ["network", "resolution", "dns"],
    "Endpoint.Processes": ["process", "report"],
    "Endpoint.Filesystem": ["endpoint", "filesystem"],
    "Endpoint.Registry": ["endpoint", "registry"],
    "Endpoint.Services": ["service", "report"],
    "Change.All_Changes": ["change"],
    "Change.Account_Management": ["change", "account"],
    "Alerts": ["alert"],
}
# What the CIM expects of a field that searches and data models choose by.
EXPECTED = {
    ("Authentication", "action"): "success failure pending error",
    ("Network_Traffic.All_Traffic", "action"): "allowed blocked teardown flow",
    ("Network_Traffic.All_Traffic", "direction"): "inbound outbound",
    ("Network_Traffic.All_Traffic", "protocol_version"): "ipv4 ipv6",
    ("Network_Traffic.All_Traffic", "protocol"): "ip icmp",
    ("Network_Resolution.DNS", "message_type"): "Query Response",
    ("Endpoint.Filesystem", "action"): "acl_modified created deleted modified read",
    ("Endpoint.Registry", "action"): "created deleted modified read",
    ("Endpoint.Registry", "status"): "success failure",
    ("Endpoint.Services", "status"): "critical started stopped warning",
    ("Change.All_Changes", "action"): "created deleted modified updated",
    ("Change.Account_Management", "action"): "created deleted modified updated",
    ("Change.All_Changes", "status"): "success failure",
    ("Change.Account_Management", "status"): "success failure",
    ("Alerts", "severity"): "critical high medium low informational",
    ("Alerts", "type"): "alarm alert event task warning",
}
# Splunk's functions of eval, of those that a mapping may want.
FUNCTIONS = {"case", "coalesce", "if", "isnotnull", "isnull", "like", "lower", "match", "mvcount", "mvindex", "mvjoin"}
FUNCTIONS |= {"null", "nullif", "replace", "round", "split", "substr", "tonumber", "tostring", "trim", "true", "upper"}


def fields() -> Iterator[tuple[str, str, str, Any]]:
    """(class, dataset, field, where it comes from) of the whole mapping."""
    for name, told in MODELLED.items():
        for field, source in told["fields"].items():
            yield name, told["dataset"], field, source


@cache
def conf(name: str) -> configparser.RawConfigParser:
    """A .conf file as Splunk reads it: `=` alone divides, names keep their case."""
    parser = configparser.RawConfigParser(delimiters=("=",), comment_prefixes=("#",), strict=True, interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string(files()[f"default/{name}"])
    return parser


@cache
def official(name: str) -> dict[str, Any]:
    found: dict[str, Any] = _CLASSES.get(name) or _CLASSES[f"win/{name}"]
    return found


def test_every_class_of_the_lake_has_a_sourcetype_with_its_official_uid():
    assert {name: told["uid"] for name, told in CLASSES.items()} == {
        name: official(name)["uid"] for name in ATTRIBUTES.classes
    }
    assert sorted(conf("props.conf").sections()) == sorted(f"headwater:ocsf:{name}" for name in CLASSES)


def test_every_path_is_an_attribute_that_the_class_publishes():
    wrong = [
        f"{name}.{field}: {path}"
        for name, _, field, source in fields()
        for path in paths_of(source)
        if path not in ATTRIBUTES.classes[name]
    ]
    assert wrong == []


def test_an_expression_names_the_paths_that_it_says_it_is_of():
    for name, _, field, source in fields():
        if isinstance(source, dict) and "eval" in source:
            text = re.sub(r'"[^"]*"', "", source["eval"])
            quoted = set(re.findall(r"'([^']+)'", text))
            bare = set(
                re.findall(
                    r"[a-z_]+_id\b|(?<![\w'.])(?:duration|response_time|query_time)\b", re.sub(r"'[^']*'", "", text)
                )
            )
            assert quoted | bare <= set(source["of"]), f"{name}.{field}"
            assert set(source["of"]) <= quoted | bare | {"status_code", "status_detail"}, f"{name}.{field}"


def test_every_field_and_tag_is_one_of_the_cims():
    for name, dataset, field, _ in fields():
        assert field in CIM[dataset].split(), f"{name}: {field} is no field of {dataset}"
    assert {name: told["tags"] for name, told in MODELLED.items()} == {
        name: TAGS[told["dataset"]] for name, told in MODELLED.items()
    }


def test_values_are_those_that_the_cim_expects():
    for name, dataset, field, source in fields():
        expected = EXPECTED.get((dataset, field))
        if expected is None:
            continue
        assert isinstance(source, dict), f"{name}.{field} passes on whatever stands there"
        said = {*source.get("is", {}).values(), *[source[key] for key in ("text", "else") if key in source]}
        said |= set(re.findall(r'"([a-z]+)"', source.get("eval", "")))
        assert said <= set(expected.split()), f"{name}.{field}: {said}"


@pytest.mark.parametrize("name", sorted(MODELLED))
def test_enumerations_are_ocsfs_and_every_activity_has_its_action(name):
    attributes = official(name)["attributes"]
    for field, source in MODELLED[name]["fields"].items():
        if isinstance(source, dict) and source.get("path", "").count(".") == 0 and "is" in source:
            known = {int(value) for value in attributes[source["path"]]["enum"]}
            assert set(source["is"]) <= known, f"{name}.{field}"
    action = MODELLED[name]["fields"].get("action", {})
    if isinstance(action, dict) and action.get("path") == "activity_id":
        left_out = {
            int(each) for each in re.findall(r"\d+", MODELLED[name].get("only", "")) if "NOT" in MODELLED[name]["only"]
        }
        chosen = {
            int(each)
            for each in re.findall(r"\d+", MODELLED[name].get("only", ""))
            if "NOT" not in MODELLED[name]["only"]
        }
        known = {int(value) for value in attributes["activity_id"]["enum"]} - {0, 99} - left_out
        assert set(action["is"]) == (chosen or known)


def test_expressions_use_functions_that_splunk_has_and_close_what_they_open():
    for section in conf("props.conf").sections():
        for option, value in conf("props.conf")[section].items():
            if not option.startswith("EVAL-"):
                continue
            text = re.sub(r'"[^"]*"', '""', value)
            assert text.count("(") == text.count(")") and text.count("'") % 2 == 0 and "[]" not in text, (
                section,
                option,
            )
            used = set(re.findall(r"([a-z]+)\(", re.sub(r"'[^']*'", "", text)))
            assert used <= FUNCTIONS, (section, option)
            for path in re.findall(r"'([^']+)'", text):
                assert re.fullmatch(r"[a-z_]+(\{\})?(\.[a-z_]+(\{\})?)*", path), (section, option, path)


def test_aliases_have_one_name_on_each_side():
    found = [
        (option, value)
        for section in conf("props.conf").sections()
        for option, value in conf("props.conf")[section].items()
        if option.startswith("FIELDALIAS-")
    ]
    assert len(found) > 50
    for option, value in found:
        assert re.fullmatch(r"[a-z_{}.]+ AS " + option.removeprefix("FIELDALIAS-"), value), (option, value)


def test_events_are_neither_broken_nor_cut_and_taken_apart_as_json():
    for section in conf("props.conf").sections():
        told = conf("props.conf")[section]
        assert (told["SHOULD_LINEMERGE"], told["TRUNCATE"], told["KV_MODE"]) == ("false", "0", "json")


def test_every_event_type_is_tagged_and_searches_a_sourcetype_of_the_add_on():
    types, tags = conf("eventtypes.conf"), conf("tags.conf")
    assert [f"eventtype={name}" for name in types.sections()] == tags.sections()
    for name in types.sections():
        assert types[name]["search"].startswith(f'sourcetype="headwater:ocsf:{name.removeprefix("headwater_")}"')
        assert set(tags[f"eventtype={name}"].values()) == {"enabled"}


def test_the_fields_beside_the_event_are_known_as_indexed():
    assert conf("fields.conf").sections() == sorted(INDEXED)
    assert all(conf("fields.conf")[name]["INDEXED"] == "true" for name in INDEXED)
    assert "dedup event_id" in conf("macros.conf")["headwater_newest"]["definition"]
    assert conf("app.conf")["package"]["id"] == "TA_headwater_ocsf"


def test_the_folder_is_written_the_same_every_time(tmp_path):
    first = write_addon(tmp_path / "a")
    before = {path.relative_to(first): path.read_bytes() for path in first.rglob("*") if path.is_file()}
    (first / "local").mkdir()
    (first / "local/props.conf").write_text("mine")
    assert write_addon(tmp_path / "a") == first
    assert {path: (first / path).read_bytes() for path in before} == before
    assert (first / "local/props.conf").read_text() == "mine"
    assert sorted(map(str, before)) == [
        "README.md",
        "default/app.conf",
        "default/eventtypes.conf",
        "default/fields.conf",
        "default/macros.conf",
        "default/props.conf",
        "default/tags.conf",
        "metadata/default.meta",
    ]
