"""
What a permalink shows today: the passage as cited, moved or changed; or that it was withdrawn. Knows no route, no page.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from index.resolve_link import PassageState, Resolution, resolve_link
from index.snapshot import Snapshot
from index.store import IndexDir
from service.answer import DocumentCard
from service.citing import document_card
from service.errors import NotFound, PassageWithdrawn
from service.library_view import PassageInPlace, find_document, find_passage


@dataclass(frozen=True, slots=True)
class LinkedPassage:
    """
    What stands behind a cited id.

    `place` is the passage with the cited words (same, moved), or the one that stands there now (changed), then None
    where that is not known. `since` is the day of the change, None for the same and where it is not known.
    """

    state: PassageState
    cited_id: str
    since: date | None
    card: DocumentCard
    place: PassageInPlace | None


def follow_link(snapshot: Snapshot, index_dir: IndexDir, passage_id: str, today: date) -> LinkedPassage:
    """
    Return what stands behind a cited id.

    Raises:
        NotFound: it was never issued.
        PassageWithdrawn: its document is gone, or that part of it.
        CitationMismatch: the document does not hold the passage's words at its place.
    """
    found = resolve_link(snapshot, index_dir, passage_id)
    if found is None:
        raise NotFound("no passage ever had that id", where="passage", fix="check the address, or ask again")
    if found.state is PassageState.WITHDRAWN or found.document_id is None:
        raise withdrawn(found)
    place = None if found.passage_id is None else find_passage(snapshot, found.passage_id, today)
    card = place.card if place else document_card(find_document(snapshot, found.document_id), today)
    return LinkedPassage(found.state, passage_id, found.since, card, place)


def withdrawn(found: Resolution) -> PassageWithdrawn:
    """Return the error for a passage that is gone; it tells when, and nothing of what it said."""
    when = f" on {found.since.isoformat()}" if found.since else ""
    return PassageWithdrawn(
        f"its document, or that part of it, was withdrawn from the library{when}",
        where="passage",
        fix="do not rely on a copy of it; ask again for what the library says now",
        since=found.since,
    )


def is_moved_here(snapshot: Snapshot, index_dir: IndexDir, cited_id: str, passage_id: str) -> bool:
    """Tell whether an id's words stand under another id now, this one."""
    found = resolve_link(snapshot, index_dir, cited_id) if cited_id else None
    return found is not None and found.state is PassageState.MOVED and found.passage_id == passage_id
