"""Key layouts of contracts: what a template says of keys, and what is no template."""

import pytest

from ingest.contracts import load_contracts
from ingest.contracts.model import Level, read_template

TRAIL = "AWSLogs/{account}/CloudTrail/{region}/{yyyy}/{mm}/{dd}/{account}_CloudTrail_{region}_{yyyy}{mm}{dd}T{hh}"
KEY = "AWSLogs/111122223333/CloudTrail/eu-west-1/2026/03/02/111122223333_CloudTrail_eu-west-1_20260302T0505Z_x.json.gz"


@pytest.mark.parametrize(
    ("key", "fits"),
    [
        (KEY, True),
        (f"some/prefix/{KEY}", True),
        (KEY.replace("/2026/03/02/", "/2026/03/"), False),
        (KEY.replace("/CloudTrail/", "/CloudTrail-Digest/"), False),
        (KEY.replace("111122223333", "o-abc123"), False),  # an account is twelve digits
        (KEY.replace("02/111122223333", "02/999999999999"), False),  # the name's account is the folder's
    ],
)
def test_a_key_fits_the_layout_that_a_vendor_writes(key: str, fits: bool) -> None:
    assert fits == read_template(TRAIL).fits(key)


@pytest.mark.parametrize(
    ("template", "day"),
    [
        (TRAIL, "AWSLogs/{account}/CloudTrail/{region}/{yyyy}/{mm}/{dd}/"),
        ("logs/{yyyy}-{mm}-{dd}-{hh}-", "logs/{yyyy}-{mm}-{dd}"),
        ("{yyyy}/{mm}/{dd}/{hh}/", "{yyyy}/{mm}/{dd}/{hh}/"),
        ("data/{batch}/", "data/{batch}/"),
    ],
)
def test_for_a_day_the_names_are_left_open(template: str, day: str) -> None:
    assert day == read_template(template).day.template


def test_a_level_ends_where_the_text_behind_it_begins() -> None:
    parts = read_template("AWSLogs/{account}_{flow_log}_{yyyy}").parts
    assert [("account", "_"), ("flow_log", "_"), ("yyyy", "/")] == [
        (each.name, each.ends_with) for each in parts if isinstance(each, Level)
    ]


@pytest.mark.parametrize(
    "template", ["", "/AWSLogs/", "a/{Account}/", "a/{account/", "a/{account}{region}/", "a/{account}", "a}/"]
)
def test_what_is_no_template_is_said(template: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        read_template(template)


def test_every_contract_names_the_vendor_whose_limits_count() -> None:
    vendors = {name: each.vendor for name, each in load_contracts().items()}
    assert {"aws", "okta", "windows"} <= set(vendors.values())
    assert "aws" == vendors["aws_cloudtrail"]
