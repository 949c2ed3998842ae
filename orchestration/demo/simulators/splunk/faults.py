"""Faults that the simulated collector makes on purpose, and when."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

Kind = Literal[
    "answer",  # an answer with `code`, nothing is taken; codes 24 and 25 take all
    "page",  # an answer with `status` and a page of HTML, as proxies give; nothing is taken
    "wait",  # `seconds` of silence, then all is as ever
    "reset_before",  # the connection is reset, nothing is taken
    "reset_after",  # the events are indexed, and the connection is reset before the answer
    "lost",  # the answer is as ever, but the events get lost on the way and are never acknowledged
    "never_acknowledged",  # the events are indexed, and never acknowledged
    "restart",  # as after a restart: the events are indexed, all numbers of acknowledgement are forgotten
]


@dataclass
class Fault:
    """One fault, at the paths that begin with `where` and, if given, the bodies for which `when` is true.

    The first `after` of these go well, then every `every`-th meets it, at most `times` (None: for ever).
    """

    kind: Kind
    where: str = "/services/collector/event"
    after: int = 0
    every: int = 1
    times: int | None = 1
    code: int = 9
    status: int = 502
    seconds: float = 0.0
    retry_after: str = ""
    when: Callable[[bytes], bool] | None = None
    seen: int = field(default=0, init=False)
    made: int = field(default=0, init=False)

    def strikes(self, path: str, body: bytes) -> bool:
        """Whether a request meets this fault; counts it."""
        if not path.startswith(self.where) or (self.when is not None and not self.when(body)):
            return False
        self.seen += 1
        if self.seen <= self.after or (self.times is not None and self.made >= self.times):
            return False
        if (self.seen - self.after) % self.every:
            return False
        self.made += 1
        return True
