"""
The words of a whole catalogue in a form to compare: ids, documents and digests of all passages. Holds SQL; reads only.

Digests stay in memory: on the disk they would let somebody guess short texts that were withdrawn.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections import defaultdict
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

from index.errors import SnapshotCorrupt


class Place(NamedTuple):
    """Where a passage stands: its document's number, and a digest of its words, equal for equal words."""

    document: int
    digest: bytes


@dataclass(frozen=True, slots=True)
class WordedPassage:
    """One passage with its words, cut into sentences."""

    id: str
    digest: bytes
    text: str
    sentences: tuple[str, ...]


class CatalogueWords:
    """
    All passages of one catalogue; texts are read again when one document's are asked for.

    Attributes:
        documents: ids of documents by number.
        passages: where each passage stands, by id, in the order of ordinals.

    Raises:
        SnapshotCorrupt: the file is missing or damaged; from any method.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.documents: tuple[str, ...] = tuple(
            row[0] for row in self._rows("SELECT id FROM documents ORDER BY number")
        )
        rows = self._rows("SELECT id, document, text FROM passages ORDER BY ordinal")
        self.passages: dict[str, Place] = {row[0]: Place(int(row[1]), _digest(row[2])) for row in rows}

    @cached_property
    def numbers(self) -> dict[str, int]:
        """Return the numbers of documents by id."""
        return {document: number for number, document in enumerate(self.documents)}

    @cached_property
    def ids_by_digest(self) -> dict[bytes, list[str]]:
        """Return the passages with the same words, in the order of ordinals."""
        found: dict[bytes, list[str]] = defaultdict(list)
        for passage_id, place in self.passages.items():
            found[place.digest].append(passage_id)
        return dict(found)

    @cached_property
    def ids_by_document(self) -> dict[int, list[str]]:
        """Return each document's passages by its number, in the order of ordinals."""
        found: dict[int, list[str]] = defaultdict(list)
        for passage_id, place in self.passages.items():
            found[place.document].append(passage_id)
        return dict(found)

    @cached_property
    def common_sentences(self) -> frozenset[str]:
        """Return sentences that stand in passages of more than one document: boilerplate, which identifies nothing."""
        first: dict[str, int] = {}
        common: set[str] = set()
        for document, text, start, spans in self._rows("SELECT document, text, start_char, sentences FROM passages"):
            for sentence in self._cut(text, start, spans):
                if first.setdefault(sentence, document) != document:
                    common.add(sentence)
        return frozenset(common)

    def occurrence(self, passage_id: str) -> int:
        """Return how many passages before this one in its document have the same words."""
        place = self.passages[passage_id]
        copies = [i for i in self.ids_by_document[place.document] if self.passages[i].digest == place.digest]
        return copies.index(passage_id)

    def passages_of(self, number: int) -> list[WordedPassage]:
        """Return a document's passages with their words, in order."""
        sql = (
            "SELECT p.id, p.text, p.start_char, p.sentences FROM documents d JOIN passages p "
            "ON p.ordinal >= d.first_ordinal AND p.ordinal < d.first_ordinal + d.n_passages "
            "WHERE d.number = ? ORDER BY p.ordinal"
        )
        found = []
        for passage_id, text, start, spans in self._rows(sql, (number,)):
            found.append(WordedPassage(passage_id, _digest(text), text, self._cut(text, start, spans)))
        return found

    def text_of(self, number: int) -> str:
        """Return a document's whole text."""
        rows = self._rows("SELECT text FROM contents WHERE number = ?", (number,))
        if not rows or not isinstance(rows[0][0], str):
            raise self._corrupt(f"document {number} has no text")
        return rows[0][0]

    def _cut(self, text: str, start: int, spans: str) -> tuple[str, ...]:
        try:
            return tuple(text[s - start : e - start] for s, e in json.loads(spans))
        except (ValueError, TypeError) as error:
            raise self._corrupt(f"the sentences of a passage: {error}") from error

    def _rows(self, sql: str, values: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        return _read(self._path, sql, values)

    def _corrupt(self, what: str) -> SnapshotCorrupt:
        return _corrupt(self._path, what)


def ids_with_words(path: Path, text: str) -> list[str]:
    """
    Return the passages of a catalogue with exactly these words, in the order of ordinals; reads all of it.

    Raises:
        SnapshotCorrupt: the file is missing or damaged.
    """
    return [row[0] for row in _read(path, "SELECT id FROM passages WHERE text = ? ORDER BY ordinal", (text,))]


def document_by_number(path: Path, number: int) -> str | None:
    """Return the id of the document with a number in a catalogue, None when there is none. Raises SnapshotCorrupt."""
    rows = _read(path, "SELECT id FROM documents WHERE number = ?", (number,))
    return rows[0][0] if rows else None


def _read(path: Path, sql: str, values: tuple[Any, ...]) -> list[tuple[Any, ...]]:
    address = f"file:{quote(str(path.absolute()))}?mode=ro&immutable=1"
    try:
        with closing(sqlite3.connect(address, uri=True)) as connection:
            return connection.execute(sql, values).fetchall()
    except (sqlite3.Error, UnicodeDecodeError) as error:
        raise _corrupt(path, str(error)) from error


def _corrupt(path: Path, what: str) -> SnapshotCorrupt:
    fix = "roll back to an older snapshot or build again"
    return SnapshotCorrupt(f"the catalogue can't be read: {what}", where=str(path), fix=fix)


def _digest(text: str) -> bytes:
    return hashlib.blake2b(text.encode(), digest_size=16).digest()
