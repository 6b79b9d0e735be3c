"""
The operator's files of a running process: notices, lexicon, calibration. Read again when they change; decides nothing.

A file that is being written, that vanished or that is broken never takes the good one's place: what was read last stays
in use, and `warnings` says so. Plain values without locks or open files, so that a new worker process can be handed
what the first process read: it must not start without notices because somebody is just editing them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Generic, TypeVar

from index.manifest import Manifest
from ingest.errors import AppError
from service.calibration import CalibrationFile, abstain_model, read_calibration
from service.lexicon import Lexicon, read_lexicon
from service.notices import NoticeBoard
from service.settings import Settings

T = TypeVar("T")
# What tells one state of a file from another: time of change (ns), size, inode. An editor that writes a new file and
# renames it changes the inode even within the clock's grain.
Stamp = tuple[int, int, int]


@dataclass(slots=True)
class WatchedFile(Generic[T]):
    """
    One file and what was read from it last.

    `value` is None until there is a file. `error` is why the file as it stands now is not in use.
    """

    path: Path
    read: Callable[[Path], T]
    value: T | None = None
    error: str = ""
    _read_stamp: Stamp | None = None
    _seen_stamp: Stamp | None = None

    def open(self) -> None:
        """
        Read the file for the first time, if there is one.

        Raises:
            AppError: it is not valid.
        """
        stamp = self._stamp()
        if stamp is not None:
            self.value = self.read(self.path)
        self._read_stamp = self._seen_stamp = stamp

    def look(self, check: Callable[[T], object] = id) -> bool | None:
        """
        Read the file again if it changed and then stood still since the last look: a half-written one may be valid.

        Args:
            check: raises an AppError where the value can't be used although it is valid; the default never does.

        Returns:
            True: a new value is in use. False: it changed and can't be used. None: nothing to do.
        """
        stamp = self._stamp()
        before, self._seen_stamp = self._seen_stamp, stamp
        if stamp == self._read_stamp or stamp != before:
            if stamp == self._read_stamp and stamp is not None and self.error == _VANISHED:
                self.error = ""
            return None
        self._read_stamp = stamp
        if stamp is None:
            self.error = _VANISHED if self.value is not None else ""
            return None if self.value is None else False
        try:
            value = self.read(self.path)
            check(value)
        except AppError as error:
            self.error = f"{error.what} ({error.fix})"
            return False
        if self._stamp() != stamp:  # it changed under our eyes: what was read may be a mixture
            self._read_stamp = None
            return None
        self.value, self.error = value, ""
        return True

    def _stamp(self) -> Stamp | None:
        try:
            status = self.path.stat()
        except OSError:
            return None
        return status.st_mtime_ns, status.st_size, status.st_ino


_VANISHED = "the file is gone (put it back; without it nothing of it is there after a restart)"


@dataclass(slots=True)
class OperatorFiles:
    """
    Notices, lexicon and calibration of a process; `calibration` is None where the shipped one is used.

    `open_files` makes one; `look` keeps it up to date.
    """

    notices: WatchedFile[NoticeBoard]
    lexicon: WatchedFile[Lexicon]
    calibration: WatchedFile[tuple[CalibrationFile, str]] | None = field(default=None)

    def look(self, manifest: Manifest | None) -> dict[str, bool]:
        """
        Read again what changed.

        Args:
            manifest: of the snapshot in use, which a new calibration must fit; None checks nothing.

        Returns:
            The files that changed: True where the new one is in use, False where the old one had to stay.
        """
        found = {"notices": self.notices.look(), "lexicon": self.lexicon.look()}
        if self.calibration is not None:
            found["calibration"] = self.calibration.look(partial(self._check_calibration, manifest))
        return {name: result for name, result in found.items() if result is not None}

    def _check_calibration(self, manifest: Manifest | None, value: tuple[CalibrationFile, str]) -> None:
        if manifest is not None and self.calibration is not None:
            abstain_model(self.calibration.path, manifest, loaded=value)

    def warnings(self) -> tuple[str, ...]:
        """Return what an operator should mend: files that are not there, and changes that could not be taken over."""
        shown = []
        if self.notices.value is None:
            shown.append(f"there are no crisis notices at {self.notices.path}: nothing is shown to somebody in danger")
        else:
            shown += self.notices.value.warnings()
        if self.lexicon.value is None:
            shown.append(f"there is no lexicon at {self.lexicon.path}: brand and street names are not understood")
        for watched in (self.notices, self.lexicon, self.calibration):
            if watched is not None and watched.error:
                shown.append(f"{watched.path.name} changed and can't be used, what was read before is: {watched.error}")
        return tuple(shown)


def open_files(settings: Settings) -> OperatorFiles:
    """
    Read the operator's files.

    Raises:
        NoticesInvalid, LexiconInvalid, CalibrationInvalid: a file is there and not valid.
    """
    read_notices = partial(_read_notices, settings.country, settings.notice_language)
    files = OperatorFiles(WatchedFile(settings.notices, read_notices), WatchedFile(settings.lexicon, read_lexicon))
    if settings.calibration is not None:
        files.calibration = WatchedFile(settings.calibration, read_calibration)
        if not settings.calibration.exists():
            read_calibration(settings.calibration)  # raises: a file that the operator names must be there
        files.calibration.open()
    files.notices.open()
    files.lexicon.open()
    return files


def _read_notices(country: str, language: str, path: Path) -> NoticeBoard:
    return NoticeBoard.load(path, country, language)
