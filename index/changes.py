"""
What differs between the live snapshot and a corpus, document by document. Pure.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from index.catalogue_rows import StoredDocument
from ingest.model import Document


@dataclass(frozen=True, slots=True)
class Changes:
    """
    Paths of documents, each list sorted; a document is in one of them at most.

    A file that can't be read now is in none: it is a failure. A document counts as changed when its bytes, its
    metadata or the text read from it differ; as moved when a file of the same bytes was withdrawn elsewhere.
    """

    added: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    moved: tuple[tuple[str, str], ...] = ()  # from, to
    removed: tuple[str, ...] = ()
    n_unchanged: int = 0

    @property
    def is_empty(self) -> bool:
        """Tell whether the documents are the same as before."""
        return not (self.added or self.changed or self.moved or self.removed)


def find_changes(
    before: Mapping[str, StoredDocument],
    now: Sequence[tuple[str, str, Document | None]],
    failed: Collection[str],
) -> Changes:
    """
    Compare what is in the live snapshot with what is in the corpus.

    Args:
        before: by path.
        now: path, SHA-256 of the file, and the document if it was read anew (None: taken over as it was).
        failed: paths of files that can't be read.
    """
    changed = [path for path, _, document in now if path in before and _differs(before[path], document)]
    added = {path: sha256 for path, sha256, _ in now if path not in before}
    gone = sorted(before.keys() - {path for path, _, _ in now} - set(failed))
    by_content: dict[str, list[str]] = {}
    for path in reversed(gone):
        by_content.setdefault(before[path].source.sha256, []).append(path)
    moved = []
    for path in sorted(added):
        if origins := by_content.get(added[path]):
            moved.append((origins.pop(), path))
    origins_of_moved = {old for old, _ in moved}
    targets = {new for _, new in moved}
    return Changes(
        added=tuple(sorted(added.keys() - targets)),
        changed=tuple(sorted(changed)),
        moved=tuple(sorted(moved)),
        removed=tuple(path for path in gone if path not in origins_of_moved),
        n_unchanged=len(now) - len(added) - len(changed),
    )


def _differs(before: StoredDocument, now: Document | None) -> bool:
    if now is None:
        return False
    return (before.source.sha256, before.metadata, before.text_sha256) != (
        now.source.sha256,
        now.metadata,
        now.text_sha256,
    )
