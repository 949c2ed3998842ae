"""Files in a folder of this machine: what may be entered, and what is told and passed over.

Which of the files are event data is decided in `ingest.objects`, for folders and buckets alike.
"""

import os
import re
from collections.abc import Iterator
from datetime import datetime, timedelta

from ingest.objects import Listing, shown

_DATE_FOLDERS = re.compile(r"(?:^|/)(\d{4})/(\d{2})/(\d{2})(?:/(\d{2}))?(?:/|$)")


def files(folder: str, hour: datetime | None, listing: Listing) -> Iterator[str]:
    """Yield the files below a folder, in the order of their names; of folders laid out by day, those near the hour.

    What cannot be entered, or is no file, is told in the listing.
    """
    return _Walk(folder, hour, listing).files()


class _Walk:
    """A walk through a folder. What cannot be entered or is no file is told in the listing; the rest goes on.

    Links are not followed: what they lead to is read where it lies, or lies outside of what was asked for.
    """

    def __init__(self, root: str, hour: datetime | None, listing: Listing) -> None:
        self._root, self._hour, self._listing = root, hour, listing

    def files(self) -> Iterator[str]:
        """Yield the files below the folder, in the order of their names."""
        waiting = self._entries(self._root)
        while waiting:
            entry = waiting.pop()
            if entry.is_symlink():
                self._tell_link(entry.path)
            elif entry.is_dir(follow_symlinks=False):
                if shown(entry.name) != entry.name:
                    self._refuse(entry.path, "the folder's name is no UTF-8: rename it")
                elif self._hour is None or _may_hold(entry.path[len(self._root) :], self._hour):
                    waiting += self._entries(entry.path)
            elif entry.is_file(follow_symlinks=False):
                yield entry.path
            else:
                self._refuse(entry.path, "a pipe, a socket or a device, and no file")

    def _entries(self, folder: str) -> list[os.DirEntry[str]]:
        """What a folder holds, the first name last."""
        try:
            with os.scandir(folder) as found:
                return sorted(found, key=lambda each: each.name, reverse=True)
        except OSError as problem:
            why = "permission denied" if isinstance(problem, PermissionError) else problem.strerror or "unreadable"
            self._refuse(folder, f"the folder cannot be listed: {why.lower()}")
            return []

    def _refuse(self, path: str, why: str) -> None:
        self._listing.refused.append((shown(path), why))

    def _tell_link(self, path: str) -> None:
        target = os.path.realpath(path)
        if not os.path.exists(target):  # noqa: PTH110 - a path that may be no text
            self._refuse(path, "a link that leads nowhere, or in a circle")
        elif (path + os.sep).startswith(os.path.join(target, "")):  # noqa: PTH118
            self._refuse(path, "a link to a folder that it lies in")
        elif target.startswith(os.path.join(self._root, "")):  # noqa: PTH118
            self._listing.ignored.append((shown(path), "a link; what it leads to is read where it lies"))
        else:
            self._refuse(path, "a link that leads out of the folder: land its target by name")


def _may_hold(folder: str, hour: datetime) -> bool:
    """Whether a folder may hold objects of an arrival hour; vendors file by their own clock, so a day's leeway.

    `folder` begins at the place that was asked for: the folders that this lies in say nothing.
    """
    found = list(_DATE_FOLDERS.finditer(folder + "/"))
    if not found:
        return True
    year, month, day, _ = found[-1].groups()
    try:
        filed = datetime(int(year), int(month), int(day))
    except ValueError:
        return True
    return abs(filed - hour.replace(hour=0)) <= timedelta(days=1)
