"""abuse.ch, CISA and the cloud providers are read as they publish; ipsum line by line."""

import json
import zipfile
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from ingest.reference.formats import FormatError
from tests.unit.ingest.reference.formats.reading import read_feed, read_text

BANNER = "################################################################\n# abuse.ch   #\n#\n"
MD5, SHA1, SHA256 = "a" * 32, "b" * 40, "c" * 64
THREATFOX = (
    '# "first_seen_utc","ioc_id","ioc_value","ioc_type","threat_type","fk_malware","malware_alias","malware_printable",'
    '"last_seen_utc","confidence_level","is_compromised","reference","tags","anonymous","reporter"\r\n'
)
EXPORTS: dict[str, tuple[str, list[tuple[str, str]], dict[str, Any], datetime]] = {
    "URLhaus": (
        BANNER
        + "# id,dateadded,url,url_status,last_online,threat,tags,urlhaus_link,reporter\r\n"
        + '"7","2026-03-01 09:27:06","http://192.0.2.1:8080/i,j","online","2026-03-01 09:27:06","malware_download",'
        + '"elf,mips","https://urlhaus.example/url/7/","x"\r\n',
        [("url", "http://192.0.2.1:8080/i,j")],
        {
            "uid": "7",
            "category": "malware_download",
            "labels": ["elf", "mips", "online"],
            "src_url": "https://urlhaus.example/url/7/",
        },
        datetime(2026, 3, 1, 9, 27, 6),
    ),
    "Feodo Tracker": (
        BANNER
        + '"first_seen_utc","dst_ip","dst_port","c2_status","last_online","malware"\r\n'
        + '"2025-12-30 13:56:31","192.0.2.1","443","online","2026-03-12","QakBot"\r\n',
        [("ip", "192.0.2.1")],
        {"malware": "QakBot", "category": "botnet_cc", "labels": ["online"], "description": "port 443"},
        datetime(2025, 12, 30, 13, 56, 31),
    ),
    "ThreatFox": (
        BANNER
        + THREATFOX
        + '"2026-03-01 10:00:00", "3", "[2001:db8::7]:80", "ip:port", "botnet_cc", "win.x", "None", "XBot", "", "75", '
        + '"False", "None", "c2,rat", "0", "x"\r\n',
        [("ip", "2001:db8::7")],
        {
            "uid": "3",
            "category": "botnet_cc",
            "malware": "XBot",
            "confidence": 75,
            "labels": ["c2", "rat"],
            "description": "port 80",
        },
        datetime(2026, 3, 1, 10),
    ),
    "MalwareBazaar": (  # its rows are longer than its header
        BANNER
        + '#  "first_seen_utc","sha256_hash","md5_hash","sha1_hash","reporter","file_name","file_type_guess",'
        + '"mime_type","signature","clamav","vtpercent","imphash"\n'
        + f'"2026-03-01 10:00:00", "{SHA256}", "{MD5}", "{SHA1}", "x", "a.exe", "exe", "y", "n/a", "n/a", '
        + '"n/a", "n/a", "3:x", "T1"\n',
        [("hash", SHA256), ("hash", MD5), ("hash", SHA1)],
        {"uid": SHA256, "name": "a.exe", "category": "malware", "labels": ["exe"]},
        datetime(2026, 3, 1, 10),
    ),
    "SSLBL": (
        BANNER + f"# Listingdate,SHA1,Listingreason\r\n2026-03-01 06:17:52,{SHA1},AsyncRAT C&C\r\n",
        [("hash", SHA1)],
        {"malware": "AsyncRAT", "category": "botnet_cc", "description": "AsyncRAT C&C", "labels": ["certificate"]},
        datetime(2026, 3, 1, 6, 17, 52),
    ),
    "SSLBL addresses": (
        BANNER + "# Firstseen,DstIP,DstPort\n2026-03-01 06:17:52,192.0.2.1,443\n",
        [("ip", "192.0.2.1")],
        {"category": "botnet_cc", "labels": ["ssl"], "description": "port 443"},
        datetime(2026, 3, 1, 6, 17, 52),
    ),
}


@pytest.mark.parametrize("export", EXPORTS)
def test_every_export_of_abuse_ch_is_told_by_its_header(tmp_path: Path, export: str) -> None:
    text, observables, payload, begins = EXPORTS[export]
    found = read_text(tmp_path, "abuse_ch", "indicators", text)
    assert (observables, []) == (found.observables, found.rejects)
    assert (payload, begins) == (found.payload(), found.entries[0].valid_from)


@pytest.mark.parametrize("shape", ["export", "api"])
def test_threatfox_as_json(tmp_path: Path, shape: str) -> None:
    one = {"ioc_type": "domain", "threat_type": "botnet_cc", "malware_printable": "XBot", "confidence_level": 50}
    export = {"9": [one | {"ioc_value": "e.example", "first_seen_utc": "2026-03-01 10:00:00", "tags": "a,b"}]}
    of_api = one | {"id": "9", "ioc": "e.example", "first_seen": "2026-03-01 10:00:00 UTC", "tags": ["a", "b"]}
    api = {"query_status": "ok", "data": [of_api]}
    found = read_text(tmp_path, "abuse_ch", "indicators", json.dumps(export if shape == "export" else api))
    assert [("domain", "e.example")] == found.observables
    assert ("9", "XBot", 50, ["a", "b"]) == tuple(
        found.payload()[name] for name in ("uid", "malware", "confidence", "labels")
    )
    assert found.entries[0].valid_from == datetime(2026, 3, 1, 10)


def test_a_zipped_dump_and_its_odd_rows(tmp_path: Path) -> None:
    rows = [
        '"x", "1", "e.example", "domain"' + ', ""' * 11,
        '"2026-03-01 10:00:00", "2"',
        '"", "3", "?", "domain"' + ', ""' * 11,
    ]
    with zipfile.ZipFile(tmp_path / "full.zip", "w") as archive:
        archive.writestr("full.csv", THREATFOX + "\n".join(rows))
    found = read_feed("abuse_ch", "indicators", tmp_path / "full.zip")
    assert ["'x' is no time", "2 values, the header of ThreatFox has 15"] == found.reasons[:2]
    assert (0, 3) == (len(found.entries), len(found.rejects))


def test_an_export_that_is_not_known_is_told(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=r"no header of a known abuse.ch export .*URLhaus"):
        read_text(tmp_path, "abuse_ch", "indicators", "# a,b\n1,2\n")


# --- CISA --------------------------------------------------------------------------------------------------------

KEV = {
    "cveID": "CVE-2024-12345",
    "vendorProject": "Vendor",
    "product": "Product",
    "vulnerabilityName": "Vendor Product RCE",
    "dateAdded": "2026-03-01",
    "shortDescription": "An attacker may.",
    "knownRansomwareCampaignUse": "Known",
    "notes": "see https://vendor.example/a ; https://nvd.example/b",
    "cwes": ["CWE-78"],
}


def test_known_exploited_vulnerabilities_as_json_and_csv(tmp_path: Path) -> None:
    catalog = {"title": "KEV", "catalogVersion": "2026.03.01", "count": 2, "vulnerabilities": [KEV, {"cveID": "?"}]}
    found = read_text(tmp_path, "cisa_kev", "indicators", json.dumps(catalog, indent=2))
    assert found.payload() == {
        "uid": "CVE-2024-12345",
        "name": "Vendor Product RCE",
        "description": "An attacker may.",
        "category": "exploited vulnerability",
        "labels": ["Vendor", "Product", "CWE-78", "ransomware"],
        "src_url": "https://vendor.example/a",
        "tlp": "clear",
    }
    assert ([("cve", "cve-2024-12345")], datetime(2026, 3, 1)) == (found.observables, found.entries[0].valid_from)
    assert ["'?' is not a CVE id"] == found.reasons
    row = ",".join(f'"{value[0] if isinstance(value, list) else value}"' for value in KEV.values())
    assert found.entries == read_text(tmp_path, "cisa_kev", "indicators", ",".join(KEV) + "\r\n" + row + "\r\n").entries


@pytest.mark.parametrize("text", ["", "a,b\n", '{"a": 1}', '{"catalogVersion": "1", "vulnerabilities": {}}'])
def test_what_is_no_catalog_is_told(tmp_path: Path, text: str) -> None:
    if text == '{"a": 1}':
        assert 1 == len(read_text(tmp_path, "cisa_kev", "indicators", text).rejects)
        return
    with pytest.raises(FormatError, match="no catalog of CISA"):
        read_text(tmp_path, "cisa_kev", "indicators", text)


# --- clouds ------------------------------------------------------------------------------------------------------


def test_ranges_of_aws_google_and_azure(tmp_path: Path) -> None:
    aws = {
        "syncToken": "17",
        "createDate": "2026-03-01-10-00-00",
        "prefixes": [
            {"ip_prefix": "192.0.2.0/24", "region": "eu-west-1", "service": "AMAZON"},
            {"ip_prefix": "192.0.2.0/24", "region": "eu-west-1", "service": "EC2"},
            {"ip_prefix": "nowhere", "region": "x", "service": "EC2"},
        ],
        "ipv6_prefixes": [{"ipv6_prefix": "2001:db8::/32", "region": "GLOBAL", "service": "EC2"}],
    }
    found = read_text(tmp_path, "aws_ip_ranges", "warning_lists", json.dumps(aws))
    assert [("ip", "192.0.2.0/24"), ("ip", "192.0.2.0/24"), ("ip", "2001:db8::/32")] == found.observables
    assert {"name": "Amazon AWS", "category": "cloud", "description": "AMAZON eu-west-1"} == found.payload()
    assert 3 == len({entry.entry for entry in found.entries})
    assert ({"version": "17", "made_at": "2026-03-01T10:00:00"}, 1) == (found.told, len(found.rejects))
    only = read_text(tmp_path, "aws_ip_ranges", "warning_lists", json.dumps(aws), services=["EC2"])
    assert (2, {"of another service": 1}) == (len(only.entries), only.skipped)

    cloud = {"ipv4Prefix": "192.0.2.0/24", "service": "Google Cloud", "scope": "us-east1"}
    google = {"syncToken": "18", "prefixes": [cloud, {"ipv6Prefix": "2001:db8::/32"}]}
    found = read_text(tmp_path, "google_ip_ranges", "warning_lists", json.dumps(google))
    assert ["Google Cloud", "Google"] == [found.payload(at)["name"] for at in (0, 1)]

    properties = {"region": "westeurope", "addressPrefixes": ["192.0.2.0/24", "2001:db8::/48"]}
    tag = {"name": "Storage.WestEurope", "properties": properties}
    azure = {"changeNumber": 3, "cloud": "Public", "values": [tag, {"name": "Odd"}]}
    found = read_text(tmp_path, "azure_service_tags", "warning_lists", json.dumps(azure))
    assert {
        "name": "Microsoft Azure Public",
        "category": "cloud",
        "description": "Storage.WestEurope",
    } == found.payload()
    assert (2, ["the tag has no addressPrefixes"]) == (len(found.entries), found.reasons)


@pytest.mark.parametrize("format", ["aws_ip_ranges", "google_ip_ranges", "azure_service_tags"])
def test_another_document_is_told(tmp_path: Path, format: str) -> None:
    with pytest.raises(FormatError, match="expected an object with lists"):
        read_text(tmp_path, format, "warning_lists", '{"prefixes": {}, "values": "x"}')
