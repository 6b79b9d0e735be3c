"""Keeps a library's log lines and warnings from the user while one file is read. Touches no other logger."""

from __future__ import annotations

import logging
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

_MAX_LINES = 1_000  # a broken file can log once per object


class _Collector(logging.Handler):
    """Keeps what its own thread logs."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []
        self._thread = threading.get_ident()

    def emit(self, record: logging.LogRecord) -> None:
        if record.thread == self._thread and len(self.lines) < _MAX_LINES:
            self.lines.append(record.msg if isinstance(record.msg, str) else "")


@contextmanager
def collect_logs(name: str) -> Iterator[list[str]]:
    """
    Yield the list to which a logger's lines go instead of to its handlers, until the context ends.

    The lines are the unfilled messages: what fills them may be parts of the file. Python warnings are dropped.
    Side effect: while any such context is open the logger does not propagate.
    """
    logger = logging.getLogger(name)
    collector = _Collector()
    logger.addHandler(collector)
    propagated, logger.propagate = logger.propagate, False
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield collector.lines
    finally:
        logger.propagate = propagated
        logger.removeHandler(collector)
