"""
From an id that somebody cites to what stands behind it today. Reads snapshots; knows no address and no page.

A snapshot knows every id that was published before it. After a rollback the ones published later are known to the
newest snapshot alone, so that one is asked too, as long as it is not the one in use.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from index.catalogue import Catalogue
from index.catalogue_words import document_by_number, ids_with_words
from index.errors import IndexFault
from index.permalinks import PERMALINKS_FILE, LinkState, Permalink, Permalinks, is_passage_id
from index.snapshot import CATALOGUE_FILE, Snapshot
from index.store import IndexDir, SnapshotInfo


class PassageState(StrEnum):
    """What became of a passage since it was published."""

    SAME = "same"  # words and document as cited
    MOVED = "moved"  # the same words stand in another document or place
    CHANGED = "changed"  # the document is there, these words are not
    WITHDRAWN = "withdrawn"  # the document is gone, or that part of it


@dataclass(frozen=True, slots=True)
class Resolution:
    """
    What stands behind an id today.

    `passage_id` is a passage of the snapshot: for SAME the id itself, for MOVED the one with the same words, for
    CHANGED the one that stands there now, None where that is not known. `document_id` is its document, None for
    WITHDRAWN. `since` is the day (UTC) of the build that found it so, None for SAME and where no build has told.
    """

    state: PassageState
    passage_id: str | None
    document_id: str | None
    since: date | None


def resolve_link(snapshot: Snapshot, index_dir: IndexDir, passage_id: str) -> Resolution | None:
    """
    Return what stands behind an id, None for one that was never issued as far as any snapshot knows.

    Raises:
        SnapshotCorrupt: the snapshot in use is damaged.
    """
    if (stored := snapshot.catalogue.passage_by_id(passage_id)) is not None:
        return Resolution(PassageState.SAME, passage_id, stored.document.id, None)
    if not is_passage_id(passage_id):
        return None
    if (link := snapshot.permalinks.find(passage_id)) is not None:
        return _from_link(link, snapshot)
    found: Resolution | None = None
    for info in _later_snapshots(snapshot, index_dir):
        try:
            later, has_words = _as_known_later(info, snapshot, passage_id)
        except IndexFault:
            continue  # damaged or collected meanwhile: the next older one may know the id as well
        if has_words:
            return later
        # It says what became of the id; an older one may still hold its words, and these may stand here too.
        found = found or later
    return found


def _from_link(link: Permalink, snapshot: Snapshot) -> Resolution:
    document = None
    if link.successor is not None:
        stored = snapshot.catalogue.passage_by_id(link.successor)
        document = None if stored is None else stored.document.id
    elif link.document is not None:
        document = document_by_number(snapshot.path / CATALOGUE_FILE, link.document)
    return Resolution(PassageState(link.state), link.successor, document, link.since)


def _later_snapshots(snapshot: Snapshot, index_dir: IndexDir) -> Iterator[SnapshotInfo]:
    """Yield the snapshots published after this one, newest first; there are some only after a rollback."""
    for info in index_dir.list_snapshots():
        if info.sequence > snapshot.manifest.sequence:
            yield info


def _as_known_later(info: SnapshotInfo, snapshot: Snapshot, passage_id: str) -> tuple[Resolution | None, bool]:
    """Return what a later snapshot tells of an id, and whether it still holds the id's words."""
    with ExitStack() as opened:
        catalogue = Catalogue.open(info.path / CATALOGUE_FILE, text_cache_bytes=0)
        opened.callback(catalogue.close)
        has_links = info.manifest is not None and PERMALINKS_FILE in info.manifest.files
        links = Permalinks.open(info.path / PERMALINKS_FILE) if has_links else Permalinks.none()
        opened.callback(links.close)
        link = links.find(passage_id)
        if link is not None and link.state is LinkState.MOVED:
            stored = catalogue.passage_by_id(str(link.successor))
        else:
            stored = catalogue.passage_by_id(passage_id)
        if stored is None and link is None:
            return None, False
        document = stored.document.id if stored else None
        if link is not None and link.document is not None:
            document = document_by_number(info.path / CATALOGUE_FILE, link.document)
        words = stored.passage.text if stored else None
    return _as_of(snapshot, document, words, link), words is not None


def _as_of(snapshot: Snapshot, document: str | None, words: str | None, link: Permalink | None) -> Resolution:
    """Return what an older snapshot says to words and a document of a later one."""
    copies = [] if words is None else ids_with_words(snapshot.path / CATALOGUE_FILE, words)
    found = [stored for copy in copies if (stored := snapshot.catalogue.passage_by_id(copy)) is not None]
    if found:
        best = next((stored for stored in found if stored.document.id == document), found[0])
        return Resolution(PassageState.MOVED, best.passage.id, best.document.id, None)
    if document is not None and snapshot.catalogue.document(document) is not None:
        return Resolution(PassageState.CHANGED, None, document, None)
    since = link.since if link is not None and link.state is LinkState.WITHDRAWN else None
    return Resolution(PassageState.WITHDRAWN, None, None, since)
