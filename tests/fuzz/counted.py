"""Cases of a kind: commands run in this process, and which of them ended in what should not be."""

import traceback
from collections.abc import Callable
from dataclasses import dataclass, field

from lake.base.errors import HeadwaterError, tell_omission, warn_once
from tests.integration.lakes import Said, headwater

_KNOWN_CODES = (0, 1, 2, 3)


@dataclass
class Counted:
    """How many cases of a kind there were, and which went wrong, and how."""

    kind: str
    cases: int = 0
    tracebacks: list[str] = field(default_factory=list)
    wrong_codes: list[str] = field(default_factory=list)
    stopped: list[str] = field(default_factory=list)
    untold: list[str] = field(default_factory=list)

    @property
    def wrong(self) -> list[str]:
        """All that went wrong."""
        return [*self.tracebacks, *self.wrong_codes, *self.stopped, *self.untold]

    def run(self, what: str, *words: object, allowed: tuple[int, ...] = _KNOWN_CODES) -> Said | None:
        """Run a command as one case; None when it ended in a traceback."""
        self.cases += 1
        tell_omission.cache_clear()
        warn_once.cache_clear()
        try:
            said = headwater(*words)
        except Exception:
            self.tracebacks.append(f"{what}: {words[0]}: {traceback.format_exc().splitlines()[-1][:300]}")
            return None
        if "Traceback (most recent" in said.err:
            self.tracebacks.append(f"{what}: {' '.join(map(str, words))[:100]}")
        elif said.code not in allowed:
            self.wrong_codes.append(f"{what}: {' '.join(map(str, words))[:100]} ended with {said.code}")
        return said

    def act(self, what: str, act: Callable[[], object]) -> None:
        """Call a function as one case: what can be said in a sentence, or nothing."""
        self.cases += 1
        try:
            act()
        except HeadwaterError:
            pass
        except Exception:
            self.tracebacks.append(f"{what}: {traceback.format_exc().splitlines()[-1][:300]}")
