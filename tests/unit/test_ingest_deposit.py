"""Putting files into the corpus and taking them out: whole or not at all, and never through a link."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from ingest import deposit
from ingest.deposit import Upload, corpus_lock, delete_file, put_file, sha256_at
from ingest.errors import CorpusMissing, CorpusNotWritable, UnreadableSource
from ingest.library import open_library


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """Return a corpus of one document."""
    root = tmp_path / "corpus"
    root.mkdir()
    (root / "old.md").write_text("# Old\n\nOld text.\n")
    return root


@pytest.fixture
def upload(corpus: Path) -> Iterator[Upload]:
    """Return an upload that has arrived."""
    made = Upload(corpus)
    made.write(b"# New\n\n")
    made.write(b"New text.\n")
    made.sync()
    yield made
    made.discard()


CONTENT = b"# New\n\nNew text.\n"


def names(root: Path) -> set[str]:
    return {path.relative_to(root).as_posix() for path in root.rglob("*")}


def put(corpus: Path, upload: Upload, name: str) -> None:
    with corpus_lock(corpus) as folder:
        put_file(folder, upload, name)


def test_upload_is_no_document_until_it_is_put(corpus: Path, upload: Upload) -> None:
    """This ensures that a build that runs meanwhile does not see half a file."""
    assert [file.path for file in open_library(corpus).files()] == ["old.md"]
    assert (upload.size_bytes, upload.head, upload.sha256) == (17, CONTENT, hashlib.sha256(CONTENT).hexdigest())


@pytest.mark.parametrize("name", ["new.md", "old.md", "a/b/c/new.md"])
def test_file_is_put_into_its_place(corpus: Path, upload: Upload, name: str) -> None:
    """This ensures that a file is there whole, new or in place of the old one, and no temporary file is left."""
    put(corpus, upload, name)
    upload.discard()

    assert (corpus / name).read_bytes() == CONTENT
    assert not [n for n in names(corpus) if "citewell-upload" in n]


def test_reader_of_the_old_file_keeps_it(corpus: Path, upload: Upload) -> None:
    """This ensures that a build that has a file open reads all of the old one, not a mixture."""
    with (corpus / "old.md").open("rb") as reading:
        first = reading.read(3)
        put(corpus, upload, "old.md")

        assert first + reading.read() == b"# Old\n\nOld text.\n"
    assert (corpus / "old.md").read_bytes() == CONTENT


def test_discarded_upload_leaves_nothing(corpus: Path, upload: Upload) -> None:
    """This ensures that a refused or broken-off upload is gone, and discarding it twice is no error."""
    upload.discard()
    upload.discard()

    assert names(corpus) == {"old.md"}


def test_what_a_killed_process_left_is_swept(corpus: Path) -> None:
    """This ensures that half a file of a killed process goes, and one that is still arriving stays."""
    (corpus / ".citewell-upload-0000.part").write_bytes(b"half")
    arriving = Upload(corpus)

    other = Upload(corpus)

    assert names(corpus) == {"old.md", arriving.name, other.name}
    arriving.discard()
    other.discard()


@pytest.mark.parametrize("name", ["link/new.md", "link/deeper/new.md", "old.md/new.md"])
def test_links_and_files_are_no_folders(corpus: Path, upload: Upload, tmp_path: Path, name: str) -> None:
    """This ensures that nothing is written outside of the corpus through a link, and nothing is left behind."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (corpus / "link").symlink_to(outside)

    with pytest.raises(UnreadableSource):
        put(corpus, upload, name)
    upload.discard()

    assert names(outside) == set()
    assert names(corpus) == {"old.md", "link"}


def test_link_in_the_files_place_stays(corpus: Path, upload: Upload, tmp_path: Path) -> None:
    """This ensures that a link an operator made is neither followed nor replaced."""
    secret = tmp_path / "secret.md"
    secret.write_text("outside")
    (corpus / "link.md").symlink_to(secret)

    with pytest.raises(UnreadableSource):
        put(corpus, upload, "link.md")
    with corpus_lock(corpus) as folder, pytest.raises(UnreadableSource):
        sha256_at(folder, "link.md")

    assert secret.read_text() == "outside"
    assert (corpus / "link.md").is_symlink()


def test_delete_takes_the_link_not_its_target(corpus: Path, tmp_path: Path) -> None:
    """This ensures that deleting never reaches out of the corpus."""
    secret = tmp_path / "secret.md"
    secret.write_text("outside")
    (corpus / "link.md").symlink_to(secret)
    (corpus / "folder").symlink_to(tmp_path)

    with corpus_lock(corpus) as folder:
        delete_file(folder, "link.md")
        with pytest.raises(UnreadableSource):
            delete_file(folder, "folder/secret.md")

    assert secret.read_text() == "outside"
    assert names(corpus) == {"old.md", "folder"}


def test_empty_folders_go_with_the_last_document(corpus: Path, upload: Upload) -> None:
    """This ensures that folders empty without the document go, others and the corpus itself stay."""
    (corpus / "a").mkdir()
    (corpus / "a" / "other.md").write_text("x")
    put(corpus, upload, "a/b/c/new.md")

    with corpus_lock(corpus) as folder:
        delete_file(folder, "a/b/c/new.md")
        delete_file(folder, "old.md")

    assert names(corpus) == {"a", "a/other.md"}


@pytest.mark.parametrize("name", ["gone.md", "no/such/folder.md"])
def test_deleting_what_is_not_there_says_so(corpus: Path, name: str) -> None:
    """This ensures that the caller learns that nothing was there."""
    with corpus_lock(corpus) as folder:
        assert sha256_at(folder, name) is None
        with pytest.raises(FileNotFoundError):
            delete_file(folder, name)

    assert names(corpus) == {"old.md"}


def test_full_disk_leaves_the_old_file(corpus: Path, upload: Upload, monkeypatch: pytest.MonkeyPatch) -> None:
    """This ensures that a disk that fails at the rename keeps what was there, and new folders are taken back."""

    def fail(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(deposit.os, "rename", fail)
    for name in ("old.md", "a/b/new.md"):
        with pytest.raises(CorpusNotWritable, match="No space left") as caught:
            put(corpus, upload, name)
        assert "free some space" in caught.value.fix
    upload.discard()

    assert names(corpus) == {"old.md"}
    assert (corpus / "old.md").read_text() == "# Old\n\nOld text.\n"


def test_missing_corpus_is_named(tmp_path: Path) -> None:
    """This ensures that a wrong setting is said, and no folder is made."""
    with pytest.raises(CorpusMissing):
        Upload(tmp_path / "absent")

    assert not (tmp_path / "absent").exists()


def test_changes_wait_for_each_other(corpus: Path) -> None:
    """This ensures that two changes at once happen one after the other, also from two processes."""
    order: list[str] = []
    inside = threading.Event()

    def change() -> None:
        inside.wait(5)
        with corpus_lock(corpus):
            order.append("second")

    other = threading.Thread(target=change)
    other.start()
    with corpus_lock(corpus):
        inside.set()
        other.join(0.2)
        order.append("first")
    other.join(5)

    assert order == ["first", "second"]


def test_endless_change_is_not_waited_for(corpus: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """This ensures that a process that hangs with the lock costs an error and not a thread."""
    monkeypatch.setattr(deposit, "_LOCK_WAIT_S", 0.05)

    with corpus_lock(corpus), pytest.raises(CorpusNotWritable), corpus_lock(corpus):
        pass


def test_no_descriptor_is_left_open(corpus: Path, tmp_path: Path) -> None:
    """This ensures that a thousand uploads, good and bad, leave no file open."""
    (corpus / "link").symlink_to(tmp_path)
    before = len(list(Path("/proc/self/fd").iterdir()))

    for name in ("a/b/x.md", "link/x.md", "a/b/x.md"):
        upload = Upload(corpus)
        upload.write(b"x")
        with suppress(UnreadableSource):
            put(corpus, upload, name)
        upload.discard()
    with corpus_lock(corpus) as folder:
        delete_file(folder, "a/b/x.md")

    assert len(list(Path("/proc/self/fd").iterdir())) == before
