"""
From the snapshots that are kept to the permalinks of the next one: what every id ever published leads to now.

An id is a hash of document, words and occurrence, so it dies with any of them. What is compared are words: of every
snapshot that is still kept, with the new catalogue. After that only ids remain, and they go on together: a chain
A -> B -> C is resolved when it is written, ids that had the same words stay tied, and an id that comes back is a
passage like any other. Words that come back in another document after the last snapshot that held them was collected
are not recognised; their links then stay as they were, which is still true of them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import cached_property
from pathlib import Path

from index.catalogue_words import CatalogueWords, Place
from index.errors import IndexFault
from index.permalinks import (
    PERMALINKS_FILE,
    LinkState,
    Permalink,
    Permalinks,
    is_passage_id,
    today_utc,
    write_permalinks,
)
from index.snapshot import CATALOGUE_FILE
from index.store import IndexDir, SnapshotInfo
from index.succession import Fate, trace_passages

# A new document is an old one renamed if it holds this share of its passages, and no other new one half as many.
_RENAMED = 0.6
_RIVAL = 0.5


@dataclass(frozen=True, slots=True)
class Past:
    """One snapshot that is kept: its words, and where its own retired ids lead."""

    words: CatalogueWords
    links: dict[str, Permalink]

    def __contains__(self, passage_id: str) -> bool:
        """Tell whether the snapshot knows the id."""
        return passage_id in self.words.passages or passage_id in self.links


def write_carried(index_dir: IndexDir, staged: Path, forgotten: Collection[str] = ()) -> tuple[str, ...]:
    """
    Write the permalinks of a staged snapshot, whose catalogue is there.

    Args:
        forgotten: documents of which nothing may remain but that their ids were withdrawn.

    Returns:
        Warnings: snapshots that could not be read, whose ids may be unknown from now on.

    Raises:
        StorageFailed: the disk is full or failing.
    """
    warnings: list[str] = []
    pasts = list(_read_pasts(index_dir, warnings))
    carried = carry_forward(pasts, CatalogueWords(staged / CATALOGUE_FILE), today_utc(), forgotten)
    write_permalinks(staged / PERMALINKS_FILE, carried)
    return tuple(warnings)


def read_past(info: SnapshotInfo) -> Past:
    """Read what one snapshot knows of ids. Raises SnapshotCorrupt."""
    words = CatalogueWords(info.path / CATALOGUE_FILE)
    if info.manifest is None or PERMALINKS_FILE not in info.manifest.files:
        return Past(words, {})
    links = Permalinks.open(info.path / PERMALINKS_FILE)
    try:
        return Past(words, {link.id: link for link in links})
    finally:
        links.close()


def carry_forward(
    pasts: Sequence[Past], staged: CatalogueWords, today: date, forgotten: Collection[str] = ()
) -> list[Permalink]:
    """
    Return where every id leads that a past snapshot knows and the staged catalogue does not hold.

    Args:
        pasts: the live snapshot first, then the others, newest first. The first that knows an id decides.
        today: the day of states that begin now.
    """
    return _Carrier(pasts, staged, today, forgotten).links()


def _read_pasts(index_dir: IndexDir, warnings: list[str]) -> Iterator[Past]:
    known = sorted(index_dir.list_snapshots(), key=lambda info: not info.is_current)
    for info in known:
        try:
            if info.manifest is not None:
                yield read_past(info)
                continue
            what = info.problem
        except IndexFault as error:
            what = error.what
        warnings.append(f"links to passages of snapshot {info.id} may be unknown from now on: {what}")


class _Ties:
    """Which ids and digests stand for the same words: disjoint sets."""

    def __init__(self) -> None:
        self._parent: dict[str | bytes, str | bytes] = {}

    def root(self, node: str | bytes) -> str | bytes:
        path = []
        while (parent := self._parent.get(node, node)) != node:
            path.append(node)
            node = parent
        for passed in path:
            self._parent[passed] = node
        return node

    def tie(self, one: str | bytes, other: str | bytes) -> None:
        self._parent[self.root(one)] = self.root(other)


class _Carrier:
    """One run of `carry_forward`; outcomes are found once and kept."""

    def __init__(self, pasts: Sequence[Past], staged: CatalogueWords, today: date, forgotten: Collection[str]) -> None:
        self._pasts = pasts
        self._staged = staged
        self._today = today
        self._forgotten = frozenset(forgotten)
        self._outcomes: dict[str, Permalink] = {}
        self._fates: dict[tuple[int, int, int], dict[str, Fate]] = {}
        self._renamed: dict[int, dict[int, int]] = {}

    def links(self) -> list[Permalink]:
        for passage_id in self._retired:
            self._outcome(passage_id)
        return self._tied(self._outcomes.values())

    @cached_property
    def _retired(self) -> list[str]:
        known: dict[str, None] = {}
        for past in self._pasts:
            known |= dict.fromkeys(i for i in past.words.passages if i not in self._staged.passages)
            known |= dict.fromkeys(i for i in past.links if i not in self._staged.passages)
        return [passage_id for passage_id in known if is_passage_id(passage_id)]

    @cached_property
    def _ties(self) -> _Ties:
        ties = _Ties()
        named: set[str] = set(self._retired)
        for past in self._pasts:
            for link in past.links.values():
                same = link.successor if link.state is LinkState.MOVED else link.same_words_as
                if same is not None:
                    ties.tie(link.id, same)
                    named |= {link.id, same}
        for words in (self._staged, *(past.words for past in self._pasts)):
            for passage_id in named:
                if (place := words.passages.get(passage_id)) is not None:
                    ties.tie(passage_id, place.digest)
        return ties

    @cached_property
    def _live_copies(self) -> dict[str | bytes, list[str]]:
        """Return the staged passages by the root of their words."""
        return {self._ties.root(digest): ids for digest, ids in self._staged.ids_by_digest.items()}

    def _outcome(self, passage_id: str) -> Permalink:
        if passage_id not in self._outcomes:
            copies = self._live_copies.get(self._ties.root(passage_id), [])
            self._outcomes[passage_id] = self._find_outcome(passage_id, copies)
        return self._outcomes[passage_id]

    def _find_outcome(self, passage_id: str, copies: list[str]) -> Permalink:
        n_past = self._deciding_past(passage_id, bool(copies))
        past = self._pasts[n_past]
        place, link = past.words.passages.get(passage_id), past.links.get(passage_id)
        number = place.document if place else link.document if link else None
        home = None if number is None else self._home(n_past, number)
        if self._is_forgotten(passage_id):
            found = Permalink(passage_id, LinkState.WITHDRAWN, self._today)
        elif copies:
            target = self._choose(passage_id, past, place, home, copies)
            document = self._staged.passages[target].document
            # A copy that stood elsewhere all along carries the link, but its document is not the one that was cited:
            # should the copy change, it has nothing to say of this id. So it is with a new copy, while the passage
            # itself was edited where it stood.
            is_move = document == home or (
                target not in past.words.passages and self._stays(n_past, passage_id, place, home) is None
            )
            found = Permalink(passage_id, LinkState.MOVED, self._today, document if is_move else home, target)
        elif place is not None:
            fate = Fate(None) if home is None else self._fate(n_past, place.document, home, passage_id)
            found = self._changed(passage_id, home, fate.successor, is_gone=fate.is_gone)
        else:
            if link is None:
                raise KeyError(passage_id)
            found = self._go_on(link, n_past, home)
        if link is not None and not place and link.state is found.state:
            found = replace(found, since=link.since)
        return found

    def _deciding_past(self, passage_id: str, has_copies: bool) -> int:
        """Return the past that an id's outcome is derived from: the first that knows it."""
        knowing = [n for n, past in enumerate(self._pasts) if passage_id in past]
        first = self._pasts[knowing[0]]
        link = None if passage_id in first.words.passages else first.links[passage_id]
        if link is not None and link.state is LinkState.WITHDRAWN and not has_copies:
            # The document was gone and is back, while a snapshot that held it is still there to compare with.
            for n in knowing[1:]:
                words = self._pasts[n].words
                if (place := words.passages.get(passage_id)) is None:
                    continue
                document = words.documents[place.document]
                if document in self._staged.numbers and document not in first.words.numbers:
                    return n
        return knowing[0]

    def _is_forgotten(self, passage_id: str) -> bool:
        return any(document in self._forgotten for document in self._documents_of(passage_id))

    def _documents_of(self, passage_id: str) -> Iterator[str]:
        """Yield the documents that any past connects with an id."""
        if not self._forgotten:
            return
        for past in self._pasts:
            place, link = past.words.passages.get(passage_id), past.links.get(passage_id)
            number = place.document if place else link.document if link else None
            if number is not None:
                yield past.words.documents[number]

    def _stays(self, n_past: int, passage_id: str, place: Place | None, home: int | None) -> str | None:
        """Return what came of a passage in its own document, None where that is not known or the document is gone."""
        if place is None or home is None:
            return None
        return self._fate(n_past, place.document, home, passage_id).successor

    def _go_on(self, link: Permalink, n_past: int, home: int | None) -> Permalink:
        """Return where an id leads whose words are long gone, by where its successor leads."""
        if link.state is LinkState.WITHDRAWN:
            return replace(link, same_words_as=None)
        successor = link.successor
        if successor is None:
            return self._changed(link.id, home, None)
        if (place := self._staged.passages.get(successor)) is not None:
            return self._changed(link.id, place.document, successor)
        after = self._outcome(successor)
        stood = self._pasts[n_past].words.passages.get(successor)
        if stood is None or stood.document != link.document:
            # Its words stood in a document that was never its own.
            return self._changed(link.id, home, None)
        if after.successor is not None and self._staged.passages[after.successor].document != after.document:
            return self._changed(link.id, home, self._stays(n_past, successor, stood, home))
        is_gone = after.state is LinkState.WITHDRAWN
        return self._changed(link.id, after.document, after.successor, is_gone=is_gone)

    def _changed(self, passage_id: str, home: int | None, successor: str | None, *, is_gone: bool = False) -> Permalink:
        if home is None or is_gone:
            return Permalink(passage_id, LinkState.WITHDRAWN, self._today)
        return Permalink(passage_id, LinkState.CHANGED, self._today, home, successor)

    def _choose(self, passage_id: str, past: Past, place: Place | None, home: int | None, copies: list[str]) -> str:
        """Return which passage with the same words an id moved to."""
        nth = past.words.occurrence(passage_id) if place else 0
        at_home = [i for i in copies if self._staged.passages[i].document == home]
        link = past.links.get(passage_id)
        if not at_home and place is None and link is not None and link.successor in copies:
            return link.successor
        pool = at_home or [i for i in copies if i not in past.words.passages] or copies
        document = self._staged.passages[pool[0]].document
        there = [i for i in pool if self._staged.passages[i].document == document]
        return there[min(nth, len(there) - 1)]

    def _home(self, n_past: int, number: int) -> int | None:
        """Return the number in the staged catalogue of a past's document, be it renamed; None when it is gone."""
        document = self._pasts[n_past].words.documents[number]
        if (staged := self._staged.numbers.get(document)) is not None:
            return staged
        if n_past not in self._renamed:
            self._renamed[n_past] = dict(self._find_renamed(self._pasts[n_past].words))
        return self._renamed[n_past].get(number)

    def _find_renamed(self, words: CatalogueWords) -> Iterator[tuple[int, int]]:
        new = {n for n, document in enumerate(self._staged.documents) if document not in words.numbers}
        for number, document in enumerate(words.documents):
            if document in self._staged.numbers:
                continue
            ids = words.ids_by_document.get(number, [])
            shared: Counter[int] = Counter()
            for passage_id in ids:
                copies = self._staged.ids_by_digest.get(words.passages[passage_id].digest, [])
                shared.update({self._staged.passages[copy].document for copy in copies} & new)
            best = shared.most_common(2)
            n_best, n_second = ([n for _, n in best] + [0, 0])[:2]
            if n_best and n_best >= _RENAMED * len(ids) and n_second <= _RIVAL * n_best:
                yield number, best[0][0]

    def _fate(self, n_past: int, number: int, home: int, passage_id: str) -> Fate:
        key = (n_past, number, home)
        if key not in self._fates:
            words, staged = self._pasts[n_past].words, self._staged
            old = words.passages_of(number)
            new = staged.passages_of(home)
            here = {passage.digest for passage in new}
            lost = {passage.id for passage in old if passage.digest not in here}
            self._fates[key] = trace_passages(
                old,
                new,
                staged.text_of(home),
                lost,
                words.ids_by_digest,
                words.common_sentences,
            )
        return self._fates[key].get(passage_id, Fate(None))

    def _tied(self, links: Iterable[Permalink]) -> list[Permalink]:
        """Tie ids that had the same words, as stars: all but the least name the least."""
        first: dict[str | bytes, str] = {}
        tied = []
        for link in sorted(links, key=lambda link: link.id):
            is_tied = link.state is not LinkState.MOVED and not self._is_forgotten(link.id)
            centre = first.setdefault(self._ties.root(link.id), link.id) if is_tied else link.id
            tied.append(replace(link, same_words_as=None if centre == link.id else centre))
        return tied
