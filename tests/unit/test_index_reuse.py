"""What a build takes over from the live snapshot, what it reports, and what it does when that snapshot is damaged."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

import index.document_work
import index.reading
import index.reuse
from index.build import BuildConfig, BuildReport, build_index, plan_build
from index.manifest import read_manifest
from index.snapshot import open_snapshot
from index.store import IndexDir
from index.testing import HashingEmbedder, write_tiny_snapshot
from index.verify import verify_snapshot
from ingest.limits import Limits
from ingest.split import SplitConfig

FIXTURES = Path(__file__).parent.parent / "data" / "snapshots"
Build = Callable[..., BuildReport]


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    folder = tmp_path / "corpus"
    folder.mkdir()
    (folder / "a.md").write_text("# A\n\nOne stays. It has two sentences.\n")
    (folder / "b.md").write_text("# B\n\nTwo stays as well.\n")
    return folder


@pytest.fixture
def build(corpus: Path, tmp_path: Path) -> Build:
    def run(config: BuildConfig = BuildConfig(), embedder: HashingEmbedder | None = None) -> BuildReport:
        return build_index(corpus, tmp_path / "index", embedder or HashingEmbedder(), config)

    return run


@pytest.fixture
def index_dir(tmp_path: Path) -> IndexDir:
    return IndexDir(tmp_path / "index")


def live_folder(index_dir: IndexDir) -> Path:
    return index_dir.snapshot_path(str(index_dir.current_id()))


def traces(folder: Path) -> dict[Path, tuple[int, int, int]]:
    """Return what writing, making, renaming or deleting anything changes."""
    return {path: ((s := path.stat()).st_ino, s.st_mtime_ns, s.st_ctime_ns) for path in folder.rglob("*")}


def catalogue_of(index_dir: IndexDir) -> bytes:
    return (live_folder(index_dir) / "catalogue.sqlite").read_bytes()


def test_what_did_not_change_is_not_read(build: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    """This ensures that neither a reader nor the splitter meets an unchanged document."""
    build()

    def refuse(*_: object) -> None:
        raise AssertionError("a document was read or split again")

    monkeypatch.setattr(index.document_work, "document_of", refuse)
    monkeypatch.setattr(index.document_work, "split_document", refuse)
    report = build()

    assert (report.n_read, report.n_documents, report.n_embedded) == (0, 2, 0)
    assert report.changes.n_unchanged == 2
    assert report.changes.is_empty


def test_the_report_names_each_change_once(build: Build, corpus: Path) -> None:
    """This ensures that an editor reads what was added, changed, moved and removed, and what failed with its reason."""
    (corpus / "fails.pdf").write_bytes(b"this is no pdf")
    (corpus / "goes.md").write_text("# Goes\n\nThis is withdrawn.\n")
    (corpus / "old.md").write_text("# Old\n\nThis moves elsewhere.\n")
    (corpus / "turns.md").write_text("# Turns\n\nReadable at first.\n")
    first = build()
    (corpus / "goes.md").unlink()
    (corpus / "new.md").write_text("# New\n\nThis is new.\n")
    (corpus / "sub").mkdir()
    (corpus / "old.md").rename(corpus / "sub" / "moved.md")
    (corpus / "a.md").write_text("# A\n\nOne has changed.\n")
    (corpus / "turns.md").write_bytes(b"\x7fELF\x00\x00\x01" * 50)
    (corpus / "library.toml").write_text('[documents."b.md"]\npublisher = "Somebody"\n')

    report = build()

    changes = report.changes
    assert report.previous_id == first.snapshot_id
    assert (changes.added, changes.removed) == (("new.md",), ("goes.md",))
    assert changes.moved == (("old.md", "sub/moved.md"),)
    assert changes.changed == ("a.md", "b.md")
    assert changes.n_unchanged == 0
    assert [failure.path for failure in report.failures] == ["fails.pdf", "turns.md"]
    assert report.n_embedded == 2  # of new.md and a.md: a title or a publisher moves no vector


def test_the_snapshot_keeps_the_report_without_names_that_are_gone(
    build: Build, corpus: Path, index_dir: IndexDir
) -> None:
    """This ensures that the making of a snapshot can be read in it, and that a withdrawn name is not."""
    (corpus / "canary-goes.md").write_text("# Goes\n\nThis is withdrawn.\n")
    (corpus / "canary-old.md").write_text("# Old\n\nThis moves elsewhere.\n")
    build()
    (corpus / "canary-goes.md").unlink()
    (corpus / "canary-old.md").rename(corpus / "moved.md")

    build()

    report = read_manifest(live_folder(index_dir)).report
    counts = {name: report[name] for name in ("n_added", "n_changed", "n_moved", "n_removed", "n_unchanged")}
    assert counts == {"n_added": 0, "n_changed": 0, "n_moved": 1, "n_removed": 1, "n_unchanged": 2}
    assert (report["moved"], report["n_embedded"], report["n_reused"]) == (["moved.md"], 0, 3)
    assert {"read", "split", "embed", "write", "link"} == set(report["seconds"])
    assert "canary" not in (live_folder(index_dir) / "manifest.json").read_text()


@pytest.mark.parametrize("what", ["limits", "defaults", "rules"])
def test_whatever_reading_depends_on_is_part_of_the_key(
    build: Build, corpus: Path, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """This ensures that other limits, other metadata and other code all mean reading anew."""
    build()
    config = BuildConfig()
    if what == "limits":
        config = BuildConfig(limits=Limits(max_pages=7))
    elif what == "defaults":
        (corpus / "library.toml").write_text('[defaults]\nlicense = "CC0"\n')
    else:
        monkeypatch.setattr(index.reuse, "rules_fingerprint", lambda: "other code")

    assert build(config).n_read == 2


@pytest.mark.parametrize("what", ["sizes", "model"])
def test_other_passages_are_cut_from_what_was_read(
    build: Build, index_dir: IndexDir, tmp_path: Path, corpus: Path, what: str
) -> None:
    """This ensures that other sizes or another tokenizer split anew, without reading, as a build from nothing does."""
    build()
    config = BuildConfig(split=SplitConfig(max_tokens=3)) if what == "sizes" else BuildConfig()
    embedder = HashingEmbedder(name="another" if what == "model" else "hashing")

    report = build(config, embedder)

    build_index(corpus, tmp_path / "scratch", embedder, config)
    assert report.n_read == 0
    assert report.n_passages == (3 if what == "sizes" else 2)
    assert catalogue_of(index_dir) == catalogue_of(IndexDir(tmp_path / "scratch"))


@pytest.mark.parametrize("name", ["catalogue.sqlite", "dense.faiss", "evidence.npy", "evidence_starts.npy", "lexical"])
@pytest.mark.parametrize("damage", ["flip", "delete"])
def test_a_damaged_live_snapshot_never_harms_the_next(
    build: Build, index_dir: IndexDir, tmp_path: Path, corpus: Path, name: str, damage: str
) -> None:
    """This ensures that whichever file of the live snapshot is damaged, a build gives what one from nothing does."""
    build()
    path = live_folder(index_dir) / name
    path = sorted(path.iterdir())[0] if path.is_dir() else path
    if damage == "delete":
        path.unlink()
    else:
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)

    report = build()

    build_index(corpus, tmp_path / "scratch", HashingEmbedder())
    with open_snapshot(index_dir) as snapshot:
        assert snapshot.id == report.snapshot_id
        assert verify_snapshot(snapshot).is_sound
    assert catalogue_of(index_dir) == catalogue_of(IndexDir(tmp_path / "scratch"))
    is_catalogue = name == "catalogue.sqlite"
    assert report.n_read == (2 if is_catalogue else 0)
    assert any("read anew" in warning for _, warning in report.warnings) == is_catalogue


@pytest.mark.parametrize("content", ["{}", "no json", '{"format_version": 999}', None])
def test_a_snapshot_that_can_not_be_understood_is_not_reused(
    build: Build, index_dir: IndexDir, content: str | None
) -> None:
    """This ensures that a damaged or foreign manifest, or none, means reading anew and no error."""
    build()
    manifest = live_folder(index_dir) / "manifest.json"
    manifest.write_text(content) if content else manifest.unlink()

    report = build()

    assert report.n_read == 2
    assert "read anew" in report.warnings[0][1]
    assert index_dir.current_id() == report.snapshot_id


def test_rows_that_are_lost_meanwhile_are_read_from_the_files(
    build: Build, index_dir: IndexDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    """This ensures that a disk which fails between the check and the copying costs time and nothing else."""
    build()
    before = catalogue_of(index_dir)

    def lost(catalogue: index.reuse.Catalogue, *_: object) -> None:
        raise index.reuse.SnapshotCorrupt("gone", where="", fix="")

    monkeypatch.setattr(index.reuse.Catalogue, "rows_of", lost)
    monkeypatch.setattr(index.reuse.Catalogue, "full_document", lost)
    monkeypatch.setattr("index.build.verify_snapshot", lambda *_: type("Sound", (), {"is_sound": True}))
    build()

    assert catalogue_of(index_dir) == before


def test_a_snapshot_of_the_first_format_is_followed_by_one_of_this(
    build: Build, index_dir: IndexDir, tmp_path: Path
) -> None:
    """This ensures that an index of the older format is built upon: everything is read, and the changes are told."""
    old = shutil.copytree(FIXTURES / "v1", tmp_path / "v1")
    snapshot_id = read_manifest(old).snapshot_id
    index_dir.snapshots_path.mkdir(parents=True)
    shutil.move(old, index_dir.snapshot_path(snapshot_id))
    (index_dir.path / "CURRENT").write_text(f"{snapshot_id}\n")

    report = build()

    assert (report.previous_id, report.n_read) == (snapshot_id, 2)
    assert report.changes.added == ("a.md", "b.md")
    assert len(report.changes.removed) == 4


def test_a_clock_that_went_backwards_does_not_hide_a_build(build: Build, index_dir: IndexDir) -> None:
    """This ensures that a build after one from the future is live, newest, and can be rolled back."""
    future = write_tiny_snapshot(IndexDir(index_dir.path, lambda: datetime(2199, 1, 1, tzinfo=UTC)))

    report = build()

    assert index_dir.current_id() == report.snapshot_id
    assert [info.id for info in index_dir.list_snapshots()] == [report.snapshot_id, future]
    assert index_dir.rollback() == future


def test_a_plan_says_what_a_build_does_and_writes_nothing(build: Build, corpus: Path, tmp_path: Path) -> None:
    """This ensures that a dry run has the same lists and counts, and leaves every byte and time as it was."""
    build()
    (corpus / "b.md").unlink()
    (corpus / "c.md").write_text("# C\n\nThree is new.\n\n# D\n\nFour is new.\n")
    (corpus / "bad.pdf").write_bytes(b"this is no pdf")
    before = traces(tmp_path)

    plan = plan_build(corpus, tmp_path / "index", HashingEmbedder())

    assert traces(tmp_path) == before
    report = build()
    assert (plan.changes, plan.failures, plan.warnings) == (report.changes, report.failures, report.warnings)
    assert (
        (plan.n_to_embed, plan.n_reused, plan.n_read)
        == (report.n_embedded, report.n_reused, report.n_read)
        == (2, 1, 1)
    )
    assert json.dumps(plan.seconds)


def test_a_plan_without_an_index_makes_no_folder(corpus: Path, tmp_path: Path) -> None:
    """This ensures that a dry run before the first build creates nothing, the cache included."""
    plan = plan_build(corpus, tmp_path / "index", HashingEmbedder())

    assert (plan.previous_id, plan.changes.added, plan.n_to_embed) == ("", ("a.md", "b.md"), 2)
    assert not (tmp_path / "index").exists()


def test_files_that_change_while_a_build_reads_are_whole_or_failures(
    build: Build, corpus: Path, tmp_path: Path, index_dir: IndexDir
) -> None:
    """This ensures that a file deleted or replaced during a build is told of, or in the index as it was when read."""

    def meddle(phase: str, done: int, _total: int) -> None:
        if (phase, done) == ("read", 1):
            (corpus / "a.md").write_text("# A\n\nReplaced after it was read.\n")
            (corpus / "b.md").unlink()

    report = build_index(corpus, tmp_path / "index", HashingEmbedder(), on_progress=meddle)

    with open_snapshot(index_dir) as snapshot:
        assert "One stays." in snapshot.catalogue.text("a.md")
    assert [(f.path, f.code) for f in report.failures] == [("b.md", "source_unreadable")]
    assert build().changes.changed == ("a.md",)


def test_links_in_a_circle_or_out_of_the_corpus_are_failures(build: Build, corpus: Path, tmp_path: Path) -> None:
    """This ensures that a build ends, reads nothing from outside, and names each such link."""
    (tmp_path / "secret.md").write_text("# Secret\n\nNot of this library.\n")
    (corpus / "out.md").symlink_to(tmp_path / "secret.md")
    (corpus / "loop.md").symlink_to(corpus / "loop.md")
    (corpus / "around").symlink_to(corpus, target_is_directory=True)

    report = build()

    assert sorted(failure.path for failure in report.failures) == ["around", "loop.md", "out.md"]
    assert report.n_documents == 2
