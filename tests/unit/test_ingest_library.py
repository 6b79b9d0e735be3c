"""The corpus folder: what is found, what is refused, what library.toml may say."""

from __future__ import annotations

import inspect
import os
import sys
from datetime import date
from pathlib import Path

import pytest

from ingest.errors import CorpusMissing, LibraryMalformed, SourceTooLarge, UnreadableSource
from ingest.library import Library, SourceFile, open_library
from ingest.limits import Limits
from ingest.model import SourceReference


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    root = tmp_path / "corpus"
    root.mkdir()
    (root / "a.md").write_text("# A\n\nText of it.\n")
    return root


def _toml(corpus: Path, text: str) -> Library:
    (corpus / "library.toml").write_text(text, encoding="utf-8")
    return open_library(corpus)


def _reasons(library: Library) -> dict[str, str]:
    return {failure.where: failure.what for failure in library.failures}


def test_files_are_sorted_and_the_rest_is_named(corpus: Path) -> None:
    """This ensures that every file is a document, ignored by name, or hidden on purpose."""
    (corpus / "sub").mkdir()
    (corpus / "sub" / "b.TXT").write_text("b")
    (corpus / "sub" / "library.toml").write_text("")
    (corpus / "z.xls").write_text("z")
    (corpus / "Makefile").write_text("m")
    for name in (".hidden.md", "~$lock.docx", "library.toml", "lexicon.toml", "notices.toml"):
        (corpus / name).write_text("")

    library = open_library(corpus)

    assert [(file.path, file.suffix) for file in library.files()] == [("a.md", ".md"), ("sub/b.TXT", ".txt")]
    assert library.ignored == ("Makefile", "sub/library.toml", "z.xls")
    assert library.failures == ()


@pytest.mark.parametrize("kind", ["missing", "file", "empty", "others"])
def test_a_folder_without_documents_is_an_error(tmp_path: Path, kind: str) -> None:
    """This ensures that a wrong or empty folder is never a silent empty library."""
    root = tmp_path / "corpus"
    if kind == "file":
        root.write_text("x")
    elif kind != "missing":
        root.mkdir()
    if kind == "others":
        (root / "x.xls").write_text("x")

    with pytest.raises(CorpusMissing) as caught:
        open_library(root)

    assert str(root) in caught.value.where
    assert caught.value.fix


def test_links_out_of_the_corpus_are_refused(corpus: Path, tmp_path: Path) -> None:
    """This ensures that a link can't bring a file of the machine into the index, while one inside may stand."""
    (tmp_path / "secret.txt").write_text("secret")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "c.md").write_text("c")
    (corpus / "out.txt").symlink_to(tmp_path / "secret.txt")
    (corpus / "dir").symlink_to(tmp_path / "folder")
    (corpus / "gone.md").symlink_to(tmp_path / "nothing.md")
    (corpus / "round.md").symlink_to("round.md")
    (corpus / "in.md").symlink_to("a.md")
    (corpus / "inner").mkdir()
    (corpus / "loop").symlink_to("inner")

    library = open_library(corpus)

    assert [file.path for file in library.files()] == ["a.md", "in.md"]
    reasons = _reasons(library)
    assert sorted(reasons) == ["dir", "gone.md", "loop", "out.txt", "round.md"]
    assert "out of the corpus" in reasons["out.txt"]
    assert "out of the corpus" in reasons["dir"]
    assert "leads nowhere" in reasons["gone.md"]
    assert "link to a folder" in reasons["loop"]


def test_pipes_and_folders_with_an_ending_are_no_documents(corpus: Path) -> None:
    """This ensures that a named pipe does not hang a build and a folder called x.md is walked, not read."""
    os.mkfifo(corpus / "pipe.txt")
    (corpus / "folder.md").mkdir()
    (corpus / "folder.md" / "b.md").write_text("b")

    library = open_library(corpus)

    assert [file.path for file in library.files()] == ["a.md", "folder.md/b.md"]
    assert _reasons(library) == {"pipe.txt": "is not a regular file"}


def test_names_that_are_no_utf8_are_reported(corpus: Path) -> None:
    """This ensures that a file whose name can't be printed is refused by a name that can."""
    for name in (b"caf\xe9.md", b"new\nline.md"):
        with open(os.path.join(os.fsencode(corpus), name), "wb") as stream:  # noqa: PTH118, PTH123 - pathlib takes no bytes
            stream.write(b"x")

    library = open_library(corpus)

    assert [file.path for file in library.files()] == ["a.md"]
    assert sorted(failure.where for failure in library.failures) == ["'new\\nline.md'", "caf\ufffd.md"]


@pytest.mark.parametrize(
    "names", [("B.md", "b.md"), ("caf\u00e9.md", "cafe\u0301.md"), ("stra\u00dfe.md", "STRASSE.md")]
)
def test_two_files_with_one_id_are_both_refused(corpus: Path, names: tuple[str, str]) -> None:
    """This ensures that ids that differ in case or composition alone, one file elsewhere, serve neither."""
    for name in names:
        (corpus / name).write_text(name)

    library = open_library(corpus)

    assert [file.path for file in library.files()] == ["a.md"]
    assert len(library.failures) == 2
    assert all("same id" in failure.what for failure in library.failures)


def test_a_decomposed_name_has_a_composed_id(corpus: Path) -> None:
    """This ensures that a name from a system that decomposes accents is found by its table, and still opens."""
    (corpus / "cafe\u0301.md").write_text("text")

    library = _toml(corpus, '[documents."caf\u00e9.md"]\ntitle = "T"')
    file = library.files()[1]

    assert file.path == "caf\u00e9.md"
    assert library.fields_of(file.path) == {"title": "T"}
    assert library.read_bytes(file) == b"text"
    assert library.warnings == ()


def test_an_unreadable_folder_is_a_failure(corpus: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """This ensures that a folder without the right to list it does not stop the rest."""
    (corpus / "closed").mkdir()
    scandir = os.scandir

    def refuse(path: Path) -> object:
        if Path(path).name == "closed":
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)

    assert _reasons(open_library(corpus)) == {"closed": "can't be opened: Permission denied"}


def test_bytes_are_read_as_they_are(corpus: Path) -> None:
    """This ensures that reading changes nothing."""
    (corpus / "a.md").write_bytes(b"\xef\xbb\xbfa\r\nb\x00")
    library = open_library(corpus)

    assert library.read_bytes(library.files()[0]) == b"\xef\xbb\xbfa\r\nb\x00"


def test_a_file_over_the_cap_is_not_read(corpus: Path) -> None:
    """This ensures that size is judged before reading, with both numbers."""
    (corpus / "a.md").write_bytes(b"x" * 101)
    library = open_library(corpus, Limits(max_bytes=100))

    with pytest.raises(SourceTooLarge, match="has 101 bytes, at most 100"):
        library.read_bytes(library.files()[0])


def test_a_file_that_vanished_is_an_error(corpus: Path) -> None:
    """This ensures that a file deleted after the listing is reported and nothing else."""
    library = open_library(corpus)
    (corpus / "a.md").unlink()

    with pytest.raises(UnreadableSource, match="gone"):
        library.read_bytes(library.files()[0])


def test_a_file_swapped_for_a_link_is_an_error(corpus: Path, tmp_path: Path) -> None:
    """This ensures that the check against links holds when the file is read, not only when it was listed."""
    (tmp_path / "secret.txt").write_text("secret")
    library = open_library(corpus)
    (corpus / "a.md").unlink()
    (corpus / "a.md").symlink_to(tmp_path / "secret.txt")

    with pytest.raises(UnreadableSource, match="out of the corpus"):
        library.read_bytes(library.files()[0])


def test_a_file_swapped_for_a_pipe_is_an_error(corpus: Path) -> None:
    """This ensures that opening never waits for a writer."""
    library = open_library(corpus)
    (corpus / "a.md").unlink()
    os.mkfifo(corpus / "a.md")

    with pytest.raises(UnreadableSource, match="regular file"):
        library.read_bytes(library.files()[0])


def test_a_file_that_grows_while_read_is_an_error(corpus: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """This ensures that half of an old and half of a new version never become one document."""
    library = open_library(corpus)
    fstat = os.fstat

    def fstat_then_write(descriptor: int) -> os.stat_result:
        result = fstat(descriptor)
        with (corpus / "a.md").open("ab") as stream:
            stream.write(b"more")
        return result

    monkeypatch.setattr(os, "fstat", fstat_then_write)

    with pytest.raises(UnreadableSource, match="changed while it was read"):
        library.read_bytes(library.files()[0])


def test_a_file_without_the_right_to_read_is_an_error(corpus: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """This ensures that a forbidden file is reported with the system's reason."""
    library = open_library(corpus)

    def refuse(*_: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", refuse)

    with pytest.raises(UnreadableSource, match="Permission denied"):
        library.read_bytes(library.files()[0])


def test_settings_are_read(corpus: Path) -> None:
    """This ensures that every table of library.toml arrives typed."""
    library = _toml(
        corpus,
        """
[library]
title = "Shelf"
[defaults]
publisher = "P"
[lint]
required = ["title", "published"]
[documents."a.md"]
title = "T"
published = 2020-01-02
tags = ["x"]
sources = [{ title = "S", publisher = "Q", published = "2001-02-03", url = "https://example.org" }]
authors = []
""",
    )

    assert library.title == "Shelf"
    assert library.defaults == {"publisher": "P"}
    assert library.required == ("title", "published")
    assert library.fields_of("a.md") == {
        "title": "T",
        "published": date(2020, 1, 2),
        "tags": ("x",),
        "sources": (SourceReference("S", "Q", date(2001, 2, 3), "https://example.org"),),
        "authors": (),
    }
    assert library.fields_of("other.md") == {}


def test_a_table_without_a_file_is_a_warning(corpus: Path) -> None:
    """This ensures that a misspelled or withdrawn path in library.toml is noticed."""
    library = _toml(corpus, '[documents."A.md"]\ntitle = "T"')

    assert library.warnings == ('library.toml: documents."A.md" names no file of the corpus',)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[library\ntitle = 1", "line 1"),
        ("[defaults]\nx = \ny = 1", "line 2"),
        ("[defaults]\npublished = 2020-02-31", "TOML"),
        ("[library]\ntitle = 5", "library.title = 5"),
        ("[library]\nname = 'x'", "library.name is unknown"),
        ("[document.'a.md']\ntitle = 'x'", "document is unknown"),
        ("[documents]\n'a.md' = 'x'", "documents.a.md = 'x'"),
        ("[defaults]\ncolour = 'red'", "[defaults] colour = 'red'"),
        ("[defaults]\npublished = 'soon'", "[defaults] published = 'soon'"),
        ("[documents.'a.md']\nurl = 'ftp://x'", "[documents.\"a.md\"] url = 'ftp://x'"),
        ("[documents.'a.md']\nsource_type = 'blog'", "must be one of government"),
        ("[documents.'a.md']\nlanguage = 'English'", "language = 'English'"),
        ("[documents.'a.md']\nsources = [{publisher = 'x'}]", "item 1 has no title"),
        ("[lint]\nrequired = ['titel']", "'titel'"),
        ("[lint]\nrequired = 'title'", "lint.required"),
    ],
)
def test_a_wrong_setting_is_named(corpus: Path, text: str, said: str) -> None:
    """This ensures that a mistake in library.toml names line or table, field and value."""
    with pytest.raises(LibraryMalformed) as caught:
        _toml(corpus, text)

    assert said in str(caught.value)
    assert "library.toml" in caught.value.where


def test_library_toml_must_be_utf8(corpus: Path) -> None:
    """This ensures that a wrong charset is named with its line."""
    (corpus / "library.toml").write_bytes(b"[library]\ntitle = '\xe9'\n")

    with pytest.raises(LibraryMalformed, match="line 2"):
        open_library(corpus)


def test_deep_folders_are_walked(corpus: Path) -> None:
    """This ensures that folders nested deeper than the call stack allows are listed."""
    n_levels = 300
    deep = corpus.joinpath(*["d"] * n_levels)
    deep.mkdir(parents=True)
    (deep / "deep.md").write_text("x")
    limit = sys.getrecursionlimit()

    sys.setrecursionlimit(len(inspect.stack(0)) + 100)
    try:
        library = open_library(corpus)
    finally:
        sys.setrecursionlimit(limit)

    assert [file.path for file in library.files()] == ["a.md", "d/" * n_levels + "deep.md"]


def test_source_files_are_one_by_path() -> None:
    """This ensures that a file's identity is its id and not where a checkout lies."""
    assert SourceFile("a.md", Path("/x/a.md")) == SourceFile("a.md", Path("/y/a.md"))
