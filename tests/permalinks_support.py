"""
A library that is edited at random, and an oracle that remembers every passage ever published. No model, no file.

Every paragraph stands under a heading of its own, so that it is one passage. A paragraph keeps its `lineage` through
edits, moves and renames of its document; a copy or a rewrite begins a new one.
"""

from __future__ import annotations

import copy
import random
from collections import Counter
from dataclasses import dataclass, field

from tests_support import count_words

from index.resolve_link import PassageState, Resolution, resolve_link
from index.snapshot import open_snapshot
from index.store import IndexDir
from index.testing import tiny_document, write_tiny_snapshot
from ingest.model import Document, Passage
from ingest.split import SplitConfig, split_document

_WORDS = tuple(
    """
    methadone naloxone withdrawal dose clinic nurse doctor morning evening craving sleep pain relief friend family
    support group meeting risk overdose breathing rescue needle exchange harm reduction treatment therapy relapse
    recovery patient pharmacy prescription tablet liquid bottle fridge child safety storage week month year supervised
    """.split()  # noqa: SIM905 - fifty quoted words would fill the screen
)
# What an editor may do; editing happens more often than the rest.
ACTS = ("add", "edit", "rewrite", "drop", "shift", "carry", "copy", "rename", "withdraw", "readd", "insert", "revert")
ACTS += ("add", "edit", "edit", "shorten")
NAMES = [f"{folder}/{name}.md" for folder in ("guides", "news") for name in "abcdef"]


@dataclass(slots=True)
class Paragraph:
    """One passage: its sentences, and which paragraph it is whatever happens to it."""

    lineage: int
    heading: str
    sentences: list[str]

    @property
    def text(self) -> str:
        """Return the words that are quoted."""
        return " ".join(self.sentences)


@dataclass(slots=True)
class Published:
    """What a passage was when somebody could cite it; an id may stand for several lineages, as copies come and go."""

    document: str
    text: str
    lineages: set[int]
    has_stayed: bool = True  # a lineage of it was in its document in every build since


Library = dict[str, list[Paragraph]]


@dataclass(slots=True)
class EditedLibrary:
    """A library in the hands of an editor who does anything."""

    chance: random.Random
    documents: Library = field(default_factory=dict)
    withdrawn: Library = field(default_factory=dict)  # as they were when they went
    n_paragraphs: int = 0
    n_sentences: int = 0

    def act(self, name: str) -> None:
        """Do one thing of ACTS somewhere at random."""
        getattr(self, f"_{name}")()

    def sentence(self) -> str:
        """Return a new sentence; half of them have a place in common templates."""
        self.n_sentences += 1
        if self.chance.random() < 0.3:
            drug, form = self.chance.choice(["Methadone", "Naloxone", "Codeine"]), self.chance.choice(_WORDS)
            return f"{drug} is given as {form} once a day for {self.n_sentences} weeks at most."
        words = self.chance.choices(_WORDS, k=self.chance.randint(6, 14))
        return f"{words[0].capitalize()} {' '.join(words[1:])} {self.n_sentences}."

    def paragraph(self) -> Paragraph:
        """Return a new paragraph of three to five sentences."""
        self.n_paragraphs += 1
        sentences = [self.sentence() for _ in range(self.chance.randint(3, 5))]
        return Paragraph(self.n_paragraphs, f"Heading {self.n_paragraphs}", sentences)

    def to_documents(self) -> tuple[tuple[Document, tuple[Passage, ...]], ...]:
        """Return the library as it is built."""
        built = []
        for path in sorted(self.documents):
            sections = {f"{p.heading} {n}": [p.text] for n, p in enumerate(self.documents[path])}
            document = tiny_document(path, f"Title of {path}", sections)
            built.append((document, split_document(document, SplitConfig(), count_words)))
        return tuple(built)

    def _some(self) -> str:
        return self.chance.choice(sorted(self.documents))

    def _place(self) -> tuple[list[Paragraph], int]:
        paragraphs = self.documents[self._some()]
        return paragraphs, self.chance.randrange(len(paragraphs))

    def _free(self) -> str | None:
        free = [name for name in NAMES if name not in self.documents]
        return self.chance.choice(free) if free else None

    def _add(self) -> None:
        if name := self._free():
            self.documents[name] = [self.paragraph() for _ in range(self.chance.randint(1, 5))]

    def _edit(self) -> None:
        paragraphs, n = self._place()
        sentences = paragraphs[n].sentences
        at = self.chance.randrange(len(sentences))
        words = sentences[at].split()
        # One word of one sentence: the paragraph is clearly the same one.
        words[self.chance.randrange(1, len(words) - 1)] = f"word{self.n_sentences}"
        self.n_sentences += 1
        paragraphs[n] = Paragraph(
            paragraphs[n].lineage, paragraphs[n].heading, [*sentences[:at], " ".join(words), *sentences[at + 1 :]]
        )

    def _shorten(self) -> None:
        paragraphs, n = self._place()
        kept = paragraphs[n].sentences[:-1]
        if len(kept) >= 2:
            paragraphs[n] = Paragraph(paragraphs[n].lineage, paragraphs[n].heading, kept)

    def _rewrite(self) -> None:
        paragraphs, n = self._place()
        paragraphs[n] = self.paragraph()

    def _insert(self) -> None:
        paragraphs, n = self._place()
        paragraphs.insert(n, self.paragraph())

    def _drop(self) -> None:
        paragraphs, n = self._place()
        if len(paragraphs) > 1:
            del paragraphs[n]

    def _shift(self) -> None:
        paragraphs, n = self._place()
        paragraphs.insert(self.chance.randrange(len(paragraphs)), paragraphs.pop(n))

    def _carry(self) -> None:
        paragraphs, n = self._place()
        if len(paragraphs) > 1:
            moved = paragraphs.pop(n)
            target = self.documents[self._some()]
            target.insert(self.chance.randint(0, len(target)), moved)

    def _copy(self) -> None:
        paragraphs, n = self._place()
        self.n_paragraphs += 1
        twin = Paragraph(self.n_paragraphs, paragraphs[n].heading, list(paragraphs[n].sentences))
        target = self.documents[self._some()]
        target.insert(self.chance.randint(0, len(target)), twin)

    def _rename(self) -> None:
        old = self._some()
        if name := self._free():
            self.documents[name] = self.documents.pop(old)

    def _withdraw(self) -> None:
        if len(self.documents) > 1:
            old = self._some()
            self.withdrawn[old] = self.documents.pop(old)

    def _readd(self) -> None:
        gone = sorted(name for name in self.withdrawn if name not in self.documents)
        if gone:
            name = self.chance.choice(gone)
            self.documents[name] = self.withdrawn.pop(name)

    def _revert(self) -> None:
        """Put back a paragraph as it was when its document was last withdrawn, in whatever document there is."""
        if self.withdrawn:
            old = self.chance.choice(self.withdrawn[self.chance.choice(sorted(self.withdrawn))])
            self.documents[self._some()].append(copy.deepcopy(old))


class Oracle:
    """
    Publishes a library again and again, remembers every id, and holds what the index says of each against the truth.

    Attributes:
        seen: how often each state was met.
        n_followed: changed passages whose successor was named; `n_lost`: whose lineage lives on unnamed.
    """

    def __init__(self, index_dir: IndexDir, library: EditedLibrary, keep: int = 3) -> None:
        self.index_dir = index_dir
        self.library = library
        self.seen: Counter[str] = Counter()
        self.n_followed = self.n_lost = 0
        self._keep = keep
        self._published: dict[str, Published] = {}
        self._states: dict[str, tuple[Library, dict[str, Passage]]] = {}  # by snapshot: what is in it
        self._forgotten: set[str] = set()  # words that left every snapshot that was kept
        self._before: list[str] = []  # snapshots that the last build could compare with

    def publish(self) -> None:
        """Build what the library is now."""
        self._before = self._kept()
        built = self.library.to_documents()
        snapshot_id = write_tiny_snapshot(self.index_dir, built)
        self.index_dir.collect(self._keep)
        passages = {passage.id: passage for _, found in built for passage in found}
        for document, found in built:
            for passage, paragraph in zip(found, self.library.documents[document.id], strict=True):
                entry = Published(document.id, passage.text, set())
                self._published.setdefault(passage.id, entry).lineages.add(paragraph.lineage)
        self._states[snapshot_id] = (copy.deepcopy(self.library.documents), passages)
        self._note_what_left()

    def rollback(self) -> None:
        """Serve an older snapshot; what the editor does next starts from the present library."""
        older = [info.id for info in self.index_dir.list_snapshots() if not info.is_current]
        if older:
            self.index_dir.rollback(self.library.chance.choice(sorted(older)))

    def check(self) -> None:
        """Resolve every id ever published; any wrong word about one of them fails."""
        current = str(self.index_dir.current_id())
        state, passages = self._states[current]
        with open_snapshot(self.index_dir, check_sha256=False) as snapshot:
            for passage_id, published in self._published.items():
                found = resolve_link(snapshot, self.index_dir, passage_id)
                assert found is not None, f"{passage_id} was published and is unknown"
                self.seen[found.state] += 1
                self._check_one(passage_id, published, found, state, passages)
            assert resolve_link(snapshot, self.index_dir, "0" * 20) is None

    def _check_one(
        self,
        passage_id: str,
        published: Published,
        found: Resolution,
        state: Library,
        passages: dict[str, Passage],
    ) -> None:
        standing = [(path, p) for path, paragraphs in state.items() for p in paragraphs]
        alive = [(path, p) for path, p in standing if p.lineage in published.lineages]
        copies = [passage for passage in passages.values() if passage.text == published.text]
        assert (found.state is PassageState.SAME) == (passage_id in passages)
        if found.state is PassageState.MOVED:
            target = passages[str(found.passage_id)]
            assert target.text == published.text
            assert target.document_id == found.document_id
            self._learn_copy(published, target, standing)
            if any(copy.document_id == published.document for copy in copies):
                assert target.document_id == published.document, "the same document comes first"
        if copies and published.text not in self._forgotten:
            assert found.state in (PassageState.SAME, PassageState.MOVED), f"the words are there: {found}"
        if found.state is PassageState.CHANGED:
            assert found.document_id in state
            if found.passage_id is None:
                self.n_lost += any(path == found.document_id for path, _ in alive)
            else:
                self.n_followed += 1
                assert passages[found.passage_id].document_id == found.document_id
                right = {p.text for _, p in alive}
                assert passages[found.passage_id].text in right, f"{published} -> {passages[found.passage_id]}"
        if found.state is PassageState.WITHDRAWN:
            in_place = any(path == published.document for path, _ in alive)
            assert not (published.has_stayed and in_place), f"{published} is there"

    def _kept(self) -> list[str]:
        return [info.id for info in self.index_dir.list_snapshots()]

    def _note_what_left(self) -> None:
        kept = {passage.text for snapshot in self._kept() for passage in self._states[snapshot][1].values()}
        present = {(path, p.lineage) for path, paragraphs in self.library.documents.items() for p in paragraphs}
        for published in self._published.values():
            if published.text not in kept:
                self._forgotten.add(published.text)
            published.has_stayed &= any((published.document, n) in present for n in published.lineages)

    def _learn_copy(self, published: Published, target: Passage, standing: list[tuple[str, Paragraph]]) -> None:
        """Take a copy that appeared as the words left their place for the same paragraph: nobody could tell."""
        if any(target.id not in self._states[snapshot][1] for snapshot in self._before):
            where = (target.document_id, target.text)
            published.lineages |= {p.lineage for path, p in standing if (path, p.text) == where}
