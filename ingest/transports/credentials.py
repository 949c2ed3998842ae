"""Credentials of an HTTP API: named in the settings, read from the environment only when a request goes out."""

from __future__ import annotations

import os
from dataclasses import dataclass

from ingest.transports.fetch_errors import MissingCredentials


@dataclass(frozen=True)
class Credentials:
    """A token in an environment variable: `setting` is the variable's name, `scheme` the word before the token."""

    setting: str
    scheme: str

    def header(self) -> str:
        """The value of the Authorization header. Raises MissingCredentials, which never shows what was found."""
        return f"{self.scheme} {self._token()}"

    def hide(self, text: str) -> str:
        """`text` with the token taken out, should a server repeat it."""
        token = os.environ.get(self.setting, "").strip()
        return text.replace(token, "***") if token else text

    def _token(self) -> str:
        token = os.environ.get(self.setting, "").strip()
        if not token:
            raise MissingCredentials(f"{self.setting} is not set; set it to the API token")
        # requests would quote a value it cannot send in its own exception, so such a value never gets there.
        if not (token.isascii() and token.isprintable()) or " " in token:
            raise MissingCredentials(
                f"{self.setting} holds characters that cannot stand in a header (a line break, a blank, a non-ASCII "
                "character); set it to the API token alone"
            )
        return token
