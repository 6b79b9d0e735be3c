"""One file to one document: precedence, titles, refusals."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from ingest.errors import MalformedSource, NoTextLayer
from ingest.library import open_library
from ingest.model import Document
from ingest.read import read_document


def _read(root: Path, name: str, data: str | bytes, toml: str = "") -> Document:
    (root / name).write_bytes(data if isinstance(data, bytes) else data.encode())
    (root / "library.toml").write_text(toml)
    library = open_library(root)
    return read_document(library, library.files()[0])


def test_a_document_carries_its_proof(tmp_path: Path) -> None:
    """This ensures that path, size, both hashes and the reader's version are of the bytes that were read."""
    data = b"# T\r\n\r\nSome text.\r\n"

    document = _read(tmp_path, "t.md", data)

    assert document.source.path == "t.md"
    assert document.source.size_bytes == len(data)
    assert document.source.sha256 == hashlib.sha256(data).hexdigest()
    assert document.text == "# T\n\nSome text.\n"
    assert document.text_sha256 == hashlib.sha256(document.text.encode()).hexdigest()
    assert document.reader == "markdown/1"


def test_later_sources_of_metadata_win(tmp_path: Path) -> None:
    """This ensures the order defaults, file, table, and that a table can empty a field."""
    toml = (
        "[defaults]\npublisher = 'D'\nlicense = 'D'\nlanguage = 'en'\n[documents.'t.md']\nlicense = 'T'\nauthors = []\n"
    )

    metadata = _read(
        tmp_path, "t.md", "---\ntitle: F\npublisher: F\nlicense: F\nauthor: F G\n---\nText.", toml
    ).metadata

    assert (metadata.language, metadata.publisher, metadata.license, metadata.title) == ("en", "F", "T", "F")
    assert metadata.authors == ()


@pytest.mark.parametrize(
    ("name", "text", "title", "origin"),
    [
        ("a.md", "Intro.\n\n## The *First*\n\nText.", "The *First*", "first heading"),
        ("how-it_ends.md", "Text alone.", "how it ends", "file name"),
        ("b.md", '---\ntitle: ""\n---\n\n# Head\n\nText.', "Head", "first heading"),
        ("c.md", "## Leave a Reply\n\nText.", "c", "file name"),
    ],
)
def test_a_missing_title_falls_back_and_is_reported(
    tmp_path: Path, name: str, text: str, title: str, origin: str
) -> None:
    """This ensures that a document always has a title and that the report says where it came from."""
    document = _read(tmp_path, name, text)

    assert document.metadata.title == title
    assert any("no title" in warning and origin in warning for warning in document.warnings)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "it is empty"),
        ("  \n\n ", "it is empty"),
        ("---\n\n***\n", "no letter"),
        ("# Head\n\n## Another", "only headings"),
        ("---\ntitle: T\n---\n\n# Head\n\nLeave a Reply\n", "comment_form"),
    ],
)
def test_a_file_with_nothing_to_quote_is_refused(tmp_path: Path, text: str, said: str) -> None:
    """This ensures that an empty document never enters an index in silence."""
    with pytest.raises(NoTextLayer, match=said) as caught:
        _read(tmp_path, "t.md", text)

    assert caught.value.where == "t.md"


def test_readers_errors_pass_through(tmp_path: Path) -> None:
    """This ensures that a file that is not what its ending says is refused with the reader's reason."""
    with pytest.raises(MalformedSource, match="a PDF"):
        _read(tmp_path, "t.txt", b"%PDF-1.4 ...")


def test_furniture_is_marked(tmp_path: Path) -> None:
    """This ensures that rules on furniture reach every document."""
    document = _read(tmp_path, "t.txt", "Some text stands here.\n\nMore like this: A Better Night\n")

    assert [block.furniture for block in document.blocks] == ["", "teaser"]
