"""What can go wrong while fetching over HTTP, one class for each thing a person has to do about it.

Every message is one line that says what happened, where, and what to do. None ever holds a secret.
"""

from lake.base.errors import HeadwaterError


class FetchError(HeadwaterError):
    """A fetch ended without all its pages; what was spooled stays and the next fetch goes on from there."""


class MissingCredentials(FetchError):
    """The setting that should hold the credentials is empty or cannot be sent in a header."""


class WrongSettings(FetchError):
    """The settings of one tenant cannot be used; the others' can."""


class ExpiredCredentials(FetchError):
    """The server answered 401: the credentials are expired, revoked or of somebody else."""


class AccessDenied(FetchError):
    """The server answered 403: the credentials are good, but may not read this."""


class RequestRefused(FetchError):
    """The server answered 400 or another final status: asking again the same way cannot help."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class RateLimited(FetchError):
    """Waiting for the rate limit would take longer than the fetch may wait."""


class Unreachable(FetchError):
    """The server did not give a whole answer within the allowed attempts (5xx, timeout, broken connection)."""


class UnexpectedAnswer(FetchError):
    """The server answered with something that is not a page: another body, a link elsewhere, a circle of links."""


class SpoolInUse(FetchError):
    """Another process is fetching into the same spool directory right now."""


class WindowNotSettled(FetchError):
    """The hour is not over, or not over long enough for the vendor to have all its events."""
