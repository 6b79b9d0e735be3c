"""Files whose parsers give up in ways of their own: brackets too deep, numbers too long."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from index.encoder import encoder_folder, open_encoder
from index.errors import ModelUnusable, SnapshotCorrupt, WriterBusy
from index.manifest import read_manifest
from index.writer_lock import writer_lock
from ingest.errors import AppError, LibraryMalformed
from ingest.library import open_library
from service.environment import load_settings
from service.errors import LexiconInvalid, NoticesInvalid, SettingsInvalid
from service.lexicon import read_lexicon
from service.notices import NoticeBoard

DEEP = "[" * 3_000
ENDLESS = "1" * 5_000


def _library(path: Path) -> None:
    open_library(path.parent)


def _settings(_: Path) -> None:
    load_settings()


@pytest.mark.parametrize("value", [DEEP, ENDLESS], ids=["deep", "endless"])
@pytest.mark.parametrize(
    ("name", "read", "error"),
    [
        ("library.toml", _library, LibraryMalformed),
        ("lexicon.toml", read_lexicon, LexiconInvalid),
        ("notices.toml", NoticeBoard.load, NoticesInvalid),
        ("citewell.toml", _settings, SettingsInvalid),
    ],
)
def test_toml_that_its_parser_gives_up_on_is_named(
    name: str,
    read: Callable[[Path], object],
    error: type[AppError],
    value: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """This ensures that a RecursionError or a bare ValueError of tomllib is an error that names the file."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / name
    path.write_text(f"port = {value}")

    with pytest.raises(error) as caught:
        read(path)

    assert "not valid TOML" in caught.value.what
    assert name in caught.value.where


@pytest.mark.parametrize("value", [DEEP, ENDLESS, "1e999"], ids=["deep", "endless", "infinite"])
def test_manifest_that_its_parser_gives_up_on_is_corrupt(value: str, tmp_path: Path) -> None:
    """This ensures that such a manifest is one that can't be read, and not a crash of whoever lists snapshots."""
    (tmp_path / "manifest.json").write_text(f'{{"format_version": {value}}}')

    with pytest.raises(SnapshotCorrupt):
        read_manifest(tmp_path)


@pytest.mark.parametrize("value", [DEEP, ENDLESS, "1e999"], ids=["deep", "endless", "infinite"])
def test_encoder_that_its_parser_gives_up_on_is_unusable(value: str, tmp_path: Path) -> None:
    """This ensures the same for the description of an exported encoder."""
    fingerprint = "ab" * 32
    (folder := encoder_folder(tmp_path, fingerprint)).mkdir(parents=True)
    (folder / "encoder.json").write_text(
        f'{{"files": {{}}, "export_version": 1, "fingerprint": "x", "max_tokens": 1, "dimension": {value}}}'
    )

    with pytest.raises(ModelUnusable) as caught:
        open_encoder(tmp_path, fingerprint)

    assert "not a readable encoder description" in caught.value.what


@pytest.mark.parametrize("value", [DEEP, "1e999", '"x"', "[]"], ids=["deep", "infinite", "text", "list"])
def test_lock_that_says_nonsense_is_still_a_lock(value: str, tmp_path: Path) -> None:
    """This ensures that a second writer is told that there is a first one, whatever stands in the lock."""
    path = tmp_path / "LOCK"

    with writer_lock(path, "2026-01-01T00:00:00Z"):
        path.write_text(f'{{"pid": {value}, "since": 1}}')
        with pytest.raises(WriterBusy, match="another build"), writer_lock(path, "2026-01-01T00:00:01Z"):
            pass
