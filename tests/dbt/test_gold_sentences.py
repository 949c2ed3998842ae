"""The sentence of a signal is good English and says what holds, whatever is known: its words, and combinations."""

import itertools
from functools import cache
from typing import Any

import duckdb
import jinja2
import pytest

from tests.dbt.gold_models import Gold, at, macros, sql_of
from tests.dbt.test_gold_lateral_movement import SENTENCE, _incident

# What a candidate is when hardly anything is known: an account by its name, a machine by its name.
BARE = {
    "title": "null",
    "department": "null",
    "full_name": "null",
    "is_new_asset": "false",
    "new_tags": "[]",
    "sensitive_label": "null",
    "sensitive_tag": "null",
    "asset_role": "null",
    "asset_type": "null",
    "asset_name": "null",
    "hostile": "null",
    "travel": "null",
    "new_country": "null",
    "new_country_name": "null",
    "new_asn": "null",
    "mfa_denied": "0",
    "services": "[]",
    "run_keys": "[]",
    "encoded_powershell": "0",
    "lsass_access": "0",
    "special_privileges": "0",
    "is_privileged": "false",
    "record_seconds": "90 * 86400",
}
HOST = "PCIDB01.example"


@pytest.fixture(scope="module")
def gold(tmp_path_factory: pytest.TempPathFactory) -> Gold:
    """The incident, whose candidate the tests change."""
    held = Gold(tmp_path_factory.mktemp("sentences"))
    held.indicator("192.0.2.66", at(7, 29))
    held.events(**_incident())
    held.build()
    held.con.execute("create table incident as from lateral_movement_candidates where score > 100")
    return held


def spoken(gold: Gold, **changes: str) -> tuple[str, str]:
    """The short and the long sentence of the incident with some columns changed (SQL)."""
    told = ", ".join(f'({sql})::{kind} as "{name}"' for name, sql in changes.items() if (kind := _type(gold, name)))
    gold.con.execute(f"create or replace table lateral_movement_candidates as select * replace ({told}) from incident")
    found = gold.con.execute(f"select message, finding_info.desc from ({sql_of('lateral_movement')})").fetchone()
    assert found
    return found[0], found[1]


def _type(gold: Gold, name: str) -> str:
    types = gold.con.execute("select column_type from (describe incident) where column_name = ?", [name]).fetchone()
    assert types, name
    return str(types[0])


def word(macro: str, value: Any, *more: str) -> str:
    """What a macro of the sentence makes of one value."""
    sql = getattr(_words(), macro)("given", *more)
    found = duckdb.execute(f"select {sql} from (select ? as given)", [value]).fetchone()
    assert found
    return str(found[0])


@cache
def _words() -> Any:
    return jinja2.Environment(extensions=["jinja2.ext.do"]).from_string(macros()).module


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "less than a minute"),
        (44, "less than a minute"),
        (45, "one minute"),
        (89, "one minute"),
        (91, "two minutes"),
        (600, "ten minutes"),
        (720, "12 minutes"),
        (3600, "one hour"),
        (5399, "90 minutes"),
        (5400, "two hours"),
        (43_200, "12 hours"),
        (86_400, "one day"),
        (90_000, "25 hours"),
        (172_800, "two days"),
        (8_640_000, "100 days"),
    ],
)
def test_a_span_is_told_in_its_largest_unit(seconds: int, words: str) -> None:
    assert words.replace("12 ", "twelve ") == word("span_in_words", seconds)


@pytest.mark.parametrize(
    ("number", "words"), [(0, "no"), (1, "one"), (12, "twelve"), (13, "13"), (1234, "1,234"), (1_000_000, "1,000,000")]
)
def test_a_number_is_a_word_up_to_twelve(number: int, words: str) -> None:
    assert f"{words} event" + ("" if number == 1 else "s") == word("counted", number, "event")


@pytest.mark.parametrize(
    "noun",
    [
        "a server",
        "an accountant",
        "an HR partner",
        "an SRE",
        "a user",
        "a unit",
        "a unix server",
        "an umbrella",
        "a PCI server",
        "an hour",
        "an honest broker",
        "a European desk",
        "a one-off",
        "an MRI technician",
        "a UX designer",
        "an uninstaller",
        "an 8-core host",
        "a unique box",
        "a union representative",
        "an undersecretary",
        "an X-ray device",
        "a utility",
        "a VP",
        "a nurse",
        "an 18-core host",
        "a 10-core host",
    ],
)
def test_the_article_follows_how_a_word_is_spoken(noun: str) -> None:
    assert noun == word("with_article", noun.partition(" ")[2])


@pytest.mark.parametrize(
    ("title", "words"),
    [
        ("Finance Controller", "finance controller"),
        ("HR Partner", "HR partner"),
        ("DevOps Engineer", "DevOps engineer"),
        ("CEO", "CEO"),
        ("Head of Sales", "head of sales"),
        ("VP Sales (EMEA)", "VP sales (EMEA)"),
        ("nurse", "nurse"),
        ("C Developer", "C developer"),
    ],
)
def test_a_title_keeps_its_abbreviations(title: str, words: str) -> None:
    assert words == word("mid_sentence", title)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({}, f"The account dana logged into the machine {HOST}."),
        ({"full_name": "'Dana Whitfield'"}, f"Dana Whitfield's account logged into the machine {HOST}."),
        ({"department": "'Finance'"}, f"An account of Finance logged into the machine {HOST}."),
        ({"title": "'Accountant'"}, f"An accountant's account logged into the machine {HOST}."),
        ({"title": "'HR Partner'"}, f"An HR partner's account logged into the machine {HOST}."),
        ({"title": "'Head of Sales'"}, f"A head of sales' account logged into the machine {HOST}."),
        ({"is_new_asset": "true"}, f"The account dana logged for the first time into the machine {HOST}."),
        (
            {"is_new_asset": "true", "new_tags": "['production']"},
            f"The account dana that never touched production logged into the machine {HOST}.",
        ),
        (
            {"is_new_asset": "true", "new_tags": "['pci']", "sensitive_tag": "'pci'", "sensitive_label": "'PCI'"},
            "The account dana that never touched a PCI machine logged into a PCI machine.",
        ),
        ({"new_tags": "['production']"}, f"The account dana logged into the machine {HOST}."),
        ({"asset_role": "'Application server'"}, "The account dana logged into an application server."),
        ({"asset_type": "'Laptop'"}, "The account dana logged into a laptop."),
        (
            {"asset_role": "'Database server'", "sensitive_label": "'PCI'", "sensitive_tag": "'pci'"},
            "The account dana logged into a PCI database server.",
        ),
        (
            {"asset_role": "'pci database server'", "sensitive_label": "'PCI'", "sensitive_tag": "'pci'"},
            "The account dana logged into a PCI database server.",
        ),
        (
            {"asset_role": "'Backup server'", "sensitive_label": "'HIPAA'", "sensitive_tag": "'hipaa'"},
            "The account dana logged into a HIPAA backup server.",
        ),
        (
            {"new_country": "'MD'", "new_country_name": "'Moldova'"},
            f"The account dana logged into the machine {HOST} after signing in from Moldova, which is new for it.",
        ),
        (
            {"is_ntlm_without_key": "true"},
            f"The account dana logged into the machine {HOST} with what looks like a stolen hash.",
        ),
        (
            {"is_new_asset": "true", "record_seconds": "7 * 3600 + 3000"},
            f"The account dana logged for the first time into the machine {HOST}.",
        ),
        (
            {"is_new_asset": "true", "record_seconds": "null"},
            f"The account dana logged for the first time into the machine {HOST}.",
        ),
        ({"record_seconds": "3600"}, f"The account dana logged into the machine {HOST}."),
    ],
)
def test_the_sentence_says_what_holds_and_no_more(gold: Gold, changes: dict[str, str], sentence: str) -> None:
    assert sentence == spoken(gold, **(BARE | changes))[0]


@pytest.mark.parametrize(
    ("seconds", "reservation"),
    [
        ("90 * 86400", None),
        ("7 * 3600 + 3000", "The record of logons goes back seven hours."),
        ("12 * 86400", "The record of logons goes back twelve days."),
        ("null", "Nothing is on record from before."),
    ],
)
def test_a_short_record_is_told_beside_the_sentence_and_in_the_long_one(
    gold: Gold, seconds: str, reservation: str | None
) -> None:
    """`never` is as long as the record: the comment says how long, where it is less than 90 days."""
    short, long = spoken(gold, record_seconds=seconds)
    ((comment,),) = gold.con.execute(f"select comment from ({sql_of('lateral_movement')})").fetchall()
    assert (f"{SENTENCE}.", reservation) == (short, comment)
    assert not reservation or reservation[1:].lower() in long


@pytest.mark.parametrize(
    ("changes", "detail"),
    [
        ({"mfa_denied": "1"}, "one challenge for a second factor was denied before"),
        ({"mfa_denied": "14"}, "14 challenges for a second factor were denied before"),
        ({"services": "['A']"}, "within the hour after, the service A was installed."),
        (
            {"services": "['A', 'B']", "lsass_access": "2"},
            "within the hour after, the services A and B were installed and the memory of LSASS was read.",
        ),
        ({"run_keys": "['A', 'B', 'C']"}, "within the hour after, the Run keys A, B and C were set."),
        ({"special_privileges": "1"}, "its session was given special privileges"),
        ({"new_asn": "{'number': 64510, 'name': null}"}, "the network AS64510 is new for the account"),
        ({"logon_types": "[3]"}, "logged on to PCIDB01.example by a network logon at 07:39 UTC on 2 March 2026"),
        ({"addresses": "[]"}, "2 March 2026."),
    ],
)
def test_the_long_sentence_tells_the_details(gold: Gold, changes: dict[str, str], detail: str) -> None:
    assert detail in spoken(gold, **(BARE | changes))[1]


def test_every_combination_is_one_sentence(gold: Gold) -> None:
    """What may hold or not, all combinations: no gap, no doubled word, no NULL, one full stop."""
    choices = [
        {"title": "'HR Partner'"},
        {"is_new_asset": "true", "new_tags": "['production']"},
        {"asset_role": "'File server'"},
        {"sensitive_label": "'PCI'", "sensitive_tag": "'pci'"},
        {"new_country": "'MD'", "new_country_name": "'Moldova'"},
        {"services": "['A', 'B']"},
        {"record_seconds": "7200"},
        {"special_privileges": "1"},
    ]
    said: set[str] = set()
    kinds = {name: _type(gold, name) for name in BARE}
    parts: list[str] = []
    for taken in itertools.product((False, True), repeat=len(choices)):
        row = BARE | {k: v for holds, choice in zip(taken, choices, strict=True) if holds for k, v in choice.items()}
        told = ", ".join(f'({sql})::{kinds[name]} as "{name}"' for name, sql in row.items())
        parts.append(f"select * replace ({told}, '{len(parts)}' as finding_uid) from incident")
    gold.con.execute(f"create or replace table lateral_movement_candidates as {' union all '.join(parts)}")
    rows = gold.rows(f"select message, finding_info.desc as long from ({sql_of('lateral_movement')})")
    for row in rows:
        for sentence in row.values():
            said.add(sentence)
            assert sentence and sentence[0].isupper() and sentence.endswith(".") and ".." not in sentence
            assert not any(wrong in sentence for wrong in ("  ", " ,", " ;", " .", "None", "null", "a a ", "an a "))
    assert len(choices) ** 2 < len(rows) == 2 ** len(choices)
    assert len(said) > 200
