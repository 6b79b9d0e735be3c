"""The document texts read last, up to so many bytes. Memory only; knows no file and no database."""

from __future__ import annotations

import sys
from collections import OrderedDict
from threading import Lock


class TextCache:
    """
    Texts by key, least recently used dropped first. Safe to use from many threads.

    Args:
        limit_bytes: memory that all texts together may take; one that alone passes it is not kept.
    """

    def __init__(self, limit_bytes: int) -> None:
        self._limit = limit_bytes
        self._used = 0
        self._texts: OrderedDict[str, str] = OrderedDict()
        self._lock = Lock()

    def get(self, key: str) -> str | None:
        """Return a text, None when it is not held."""
        with self._lock:
            text = self._texts.get(key)
            if text is not None:
                self._texts.move_to_end(key)
            return text

    def put(self, key: str, text: str) -> None:
        """Keep a text, and drop old ones until all fit."""
        size = sys.getsizeof(text)
        if size > self._limit:
            return
        with self._lock:
            if key in self._texts:
                return
            self._texts[key] = text
            self._used += size
            while self._used > self._limit:
                _, dropped = self._texts.popitem(last=False)
                self._used -= sys.getsizeof(dropped)
