"""Errors that a user can act on share one base, which carries exit code and advice."""

import importlib
import pkgutil
from collections.abc import Iterator

import duckdb
import pytest

import ingest
import lake
import orchestration
from lake.base.errors import NEEDS_A_LOOK, NOT_LANDED, WRONG_CALL, HeadwaterError
from orchestration.cli.app import NotFound, fail, known_errors

# Signals between functions: each is caught within the product, and one that a user sees is a bug with a traceback.
CAUGHT_WITHIN = {
    "Broken",  # bytes that do not decompress: their object becomes unreadable
    "Conflict",  # a conditional write of a store lost: it is tried again
    "DigestUnreadable",  # a digest file: a finding of the verification
    "ErasureAsked",  # landing applies the erasure and goes on
    "NoRow",  # an entry of a feed becomes a reject
    "NoSingleObservable",  # a pattern of a feed becomes a reject
    "NotXml",  # a text where an event in XML was expected: its record is quarantined
    "NotRead",  # bytes of a kind that is not read: their object becomes unreadable
    "NotApplicable",  # a rule of an erasure that a file cannot be asked: the file is named
    "NotObservable",  # a value of a feed becomes a reject
    "ObjectUnreadable",  # an object is left out and named in the receipt
    "RowsChanged",  # of a merge: its hour is left for the next time, and named
    "TooLarge",  # a request that is sent in halves
    "Unreadable",  # an index that is made again
    "UnreadableMessage",  # a message of a queue is left there and named
}


def _exceptions() -> Iterator[type[Exception]]:
    for room in (ingest, lake, orchestration):
        for each in pkgutil.walk_packages(room.__path__, f"{room.__name__}."):
            if ".demo" in each.name or each.name.startswith("orchestration.deploy"):
                continue
            for found in vars(importlib.import_module(each.name)).values():
                is_own = isinstance(found, type) and found.__module__ == each.name
                if is_own and issubclass(found, Exception) and not found.__name__.startswith("_"):
                    yield found


def test_what_a_user_can_act_on_derives_from_the_base_and_has_an_exit_code() -> None:
    found = [*_exceptions()]
    assert len(found) > 40
    users = [each for each in found if not issubclass(each, OSError) and each.__name__ not in CAUGHT_WITHIN]
    assert [] == [f"{each.__module__}.{each.__name__}" for each in users if not issubclass(each, HeadwaterError)]
    codes = {each.exit_code for each in users if issubclass(each, HeadwaterError)}
    assert {NEEDS_A_LOOK, WRONG_CALL, NOT_LANDED} == codes


def test_what_is_caught_within_exists_and_has_no_exit_code() -> None:
    assert CAUGHT_WITHIN <= {each.__name__ for each in _exceptions() if not issubclass(each, HeadwaterError)}


class _Advised(HeadwaterError):
    exit_code = WRONG_CALL
    advice = "turn it off and on again"


@pytest.mark.parametrize(
    ("problem", "code", "said"),
    [
        (_Advised("it hangs"), 2, "error: it hangs\nturn it off and on again\n"),
        (NotFound("no such event"), 1, "error: no such event\n"),
        (OSError("disk full"), 1, "error: disk full\n"),
        (duckdb.Error("no such column"), 1, "error: no such column\n"),
    ],
)
def test_a_problem_is_said_in_one_line_with_what_to_do(
    problem: Exception, code: int, said: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", ["headwater", "balance"])
    assert isinstance(problem, known_errors())
    assert (code, said) == (fail(problem), capsys.readouterr().err)
