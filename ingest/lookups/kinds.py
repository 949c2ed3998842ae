"""Kinds of providers: the files of `providers/`, found by their names.

What belongs here: from settings to an open provider. What does not: a list of kinds.
"""

import importlib
import os
import pkgutil
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from pydantic import ValidationError

import ingest.lookups.providers
from ingest.lookups.client import Client
from ingest.lookups.egress_policy import NeverSent, never_sent
from ingest.lookups.provider import Kind, LookupOptions, Provider
from lake.base.errors import WRONG_CALL, HeadwaterError
from lake.storage.paths import BadName, checked

STATUS = "status"  # what the command line calls the state of all, so no provider


class BadLookup(HeadwaterError, ValueError):
    """Settings of a provider that cannot be used."""

    exit_code = WRONG_CALL


@dataclass(frozen=True)
class Lookup:
    """A provider as the settings name it, and that kind's own options."""

    name: str
    kind: str
    options: LookupOptions

    @property
    def module(self) -> Kind:
        """The file of its kind."""
        return module_of(self.kind)

    @property
    def guard(self) -> NeverSent:
        """What it is never asked about."""
        return never_sent(self.options.never_send)

    @property
    def lacking(self) -> str:
        """Return what the settings name and this machine lacks; else ""."""
        if not self.module.KEY_HEADER:
            return ""
        if not self.options.key_env:
            return f"lookups.{self.name}.key_env is not set: name the environment variable that holds the key"
        if not os.environ.get(self.options.key_env, "").strip():
            return f"{self.options.key_env} is not set (lookups.{self.name}.key_env names it); set it to the key"
        return ""

    def open(self, client: Client) -> Provider:
        """Return the provider, ready to be asked."""
        return self.module.open_provider(self.options, client)


def kinds() -> list[str]:
    """Return the names of all kinds of providers."""
    return sorted(each.name for each in pkgutil.iter_modules(ingest.lookups.providers.__path__))


def module_of(kind: str) -> Kind:
    """Return the file of a kind."""
    return cast(Kind, importlib.import_module(f"ingest.lookups.providers.{kind}"))


def configured(name: str, given: Mapping[str, Any]) -> Lookup:
    """Return a provider of the settings.

    Raises:
        BadLookup: the type is unknown; a setting is unknown, missing, or cannot be used.
    """
    kind = given.get("type")
    if kind not in kinds():
        found = f"{kind!r} is no type" if kind else "no `type` is given"
        raise BadLookup(f"lookups.{name}: {found} (known: {', '.join(kinds())})")
    rest = {key: value for key, value in given.items() if key != "type"}
    module = module_of(str(kind))
    try:
        if checked(name) == STATUS:
            raise BadName(f"{STATUS!r} is no name for a provider: `headwater lookup {STATUS}` tells how all stand")
        options = module.Options.model_validate(rest)
        never_sent(options.never_send)
    except ValidationError as problem:
        wrong = problem.errors()[0]
        where = ".".join(map(str, (name, *wrong["loc"])))
        said = wrong["msg"].removeprefix("Value error, ")
        said = "unknown setting" if wrong["type"] == "extra_forbidden" else said
        raise BadLookup(f"lookups.{where}: {said}") from None
    except (BadName, ValueError) as problem:
        raise BadLookup(f"lookups.{name}: {problem}") from None
    for each in options.attributes:
        if each.kind not in module.KINDS:
            found = f"{each.table}.{each.path} holds {each.kind}, and {kind} answers {', '.join(sorted(module.KINDS))}"
            raise BadLookup(f"lookups.{name}.ask_about: {found}")
    return Lookup(name, str(kind), options)
