"""A build that takes over what did not change gives what a build from nothing gives, after any history."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from index.build import BuildReport, build_index
from index.catalogue import Catalogue
from index.store import IndexDir
from index.testing import HashingEmbedder

NAMES = [f"{letter}.{ending}" for letter in "abcdefgh" for ending in ("txt", "md")]
# Five documents that share a banner make it furniture, four do not: edits switch it on and off in all the others.
BANNERS = ["", "Our bright new home", "A quiet second banner"]
BODIES = [
    "Withdrawal begins within a day.",
    "# Onset\n\nIt starts early.\n\n# End\n\nIt ends after a week. Some need longer.",
    "Naloxone reverses an overdose.\n\n- It is sprayed.\n- It is injected.",
    "Relapse is common. It is no failure.",
]
PUBLISHERS = ["", "One Charity", "Another Charity"]

texts = st.tuples(st.sampled_from(BANNERS), st.sampled_from(BODIES)).map(lambda parts: "\n\n".join(filter(None, parts)))
edits = st.one_of(
    st.tuples(st.just("write"), st.sampled_from(NAMES), texts),
    st.tuples(st.just("delete"), st.sampled_from(NAMES), st.none()),
    st.tuples(st.just("rename"), st.sampled_from(NAMES), st.sampled_from(NAMES)),
    st.tuples(st.just("publisher"), st.sampled_from(NAMES), st.sampled_from(PUBLISHERS)),
    st.tuples(st.just("default"), st.none(), st.sampled_from(PUBLISHERS)),
)


class Corpus:
    """A folder that edits are made in, and what library.toml says of it."""

    def __init__(self, folder: Path, banner: str) -> None:
        self.folder = folder
        folder.mkdir()
        self.publishers: dict[str, str] = {}
        self.default = ""
        (folder / "stays.txt").write_text("This one stays. It says so.\n")
        for name in NAMES[1:8:2]:  # in Markdown a short first line is no heading
            (folder / name).write_text(f"{banner}\n\nDocument {name} has words of its own.\n")

    def edit(self, kind: str, name: str | None, value: str | None) -> None:
        """Make one edit; deleting or renaming what is not there does nothing."""
        path = self.folder / (name or "")
        if kind == "write":
            path.write_text(f"{value}\n")
        elif kind == "delete":
            path.unlink(missing_ok=True)
        elif kind == "rename" and path.is_file():
            path.replace(self.folder / str(value))
        elif kind == "publisher":
            self.publishers[str(name)] = str(value)
        elif kind == "default":
            self.default = str(value)
        toml = f'[defaults]\npublisher = "{self.default}"\n'
        toml += "".join(f'[documents."{n}"]\npublisher = "{p}"\n' for n, p in self.publishers.items())
        (self.folder / "library.toml").write_text(toml)

    def contents(self) -> dict[str, bytes]:
        """Return the bytes of every document."""
        return {path.name: path.read_bytes() for path in self.folder.iterdir() if path.name != "library.toml"}


def live_files(index_dir: Path) -> dict[str, bytes]:
    """Return all that two builds from equal input have in common."""
    store = IndexDir(index_dir)
    folder = store.snapshot_path(str(store.current_id()))
    return {name: (folder / name).read_bytes() for name in ("catalogue.sqlite", "dense.faiss", "evidence.npy")}


def furniture(index_dir: Path) -> int:
    """Return how many blocks are marked as repeated lines."""
    store = IndexDir(index_dir)
    catalogue = Catalogue.open(store.snapshot_path(str(store.current_id())) / "catalogue.sqlite")
    documents = [catalogue.full_document(stored.id) for stored in catalogue.iter_documents()]
    catalogue.close()
    return sum(block.furniture == "repeated_line" for document in documents for block in document.blocks)


def check_changes(report: BuildReport, before: dict[str, bytes], after: dict[str, bytes]) -> None:
    """Make sure that the lists of the report lead from the documents before to those after."""
    changes = report.changes
    arrived, left = {new for _, new in changes.moved}, {old for old, _ in changes.moved}
    assert set(changes.added) | arrived == after.keys() - before.keys()
    assert set(changes.removed) | left == before.keys() - after.keys()
    assert {name for name in after.keys() & before.keys() if after[name] != before[name]} <= set(changes.changed)
    assert all(before[old] == after[new] for old, new in changes.moved)
    assert len(after) == len(changes.added) + len(changes.moved) + len(changes.changed) + changes.n_unchanged


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(banner=st.sampled_from(BANNERS[1:]), steps=st.lists(st.lists(edits, max_size=4), min_size=1, max_size=4))
def test_any_history_gives_the_bytes_of_a_build_from_nothing(
    banner: str, steps: list[list[tuple[str, str | None, str | None]]]
) -> None:
    """This ensures that taking over what did not change never shows, whatever was edited, renamed or withdrawn."""
    with tempfile.TemporaryDirectory() as folder:
        corpus = Corpus(Path(folder) / "corpus", banner)
        build_index(corpus.folder, Path(folder) / "index", HashingEmbedder())
        for number, step in enumerate(steps):
            before = corpus.contents()
            for edit in step:
                corpus.edit(*edit)

            report = build_index(corpus.folder, Path(folder) / "index", HashingEmbedder())
            scratch = build_index(corpus.folder, Path(folder) / f"scratch{number}", HashingEmbedder())

            assert live_files(Path(folder) / "index") == live_files(Path(folder) / f"scratch{number}")
            assert (report.n_documents, report.n_passages) == (scratch.n_documents, scratch.n_passages)
            assert report.warnings == scratch.warnings
            check_changes(report, before, corpus.contents())


def test_a_banner_comes_and_goes_in_documents_that_are_taken_over(tmp_path: Path) -> None:
    """This ensures that the marks of repeated lines are undone and made anew."""
    corpus = Corpus(tmp_path / "corpus", BANNERS[1])
    counts = []
    for text in ("", f"{BANNERS[1]}\n\nThe fifth that shares it.", "It shares it no more."):
        corpus.edit("write" if text else "delete", "h.md", text)
        report = build_index(corpus.folder, tmp_path / "index", HashingEmbedder())
        counts.append((furniture(tmp_path / "index"), report.n_read))

    assert counts == [(0, 5), (5, 1), (0, 1)]
