"""The manifest."""

import json
from pathlib import Path
from typing import Any

import pytest

from index.errors import SnapshotCorrupt, SnapshotUnsupported
from index.manifest import (
    FORMAT_VERSION,
    OLDEST_SUPPORTED,
    Counts,
    FileIdentity,
    Manifest,
    ModelIdentity,
    read_manifest,
    write_manifest,
)

MANIFEST = Manifest(
    snapshot_id="20261122T000000Z-0123abcd",
    sequence=3,
    created_at="2026-11-22T00:00:00Z",
    title="Bücherei",
    counts=Counts(documents=1, passages=2, sentences=3),
    split={"max_tokens": 128},
    fusion={"dense": 0.7},
    model=ModelIdentity(name="m", fingerprint="f", dimension=8),
    corpus_sha256="0" * 64,
    files={"catalogue.sqlite": FileIdentity(bytes=1, sha256="a" * 64)},
    versions={"faiss": "1"},
    report={"seconds": 1.5},
)


def write(folder: Path, **changes: Any) -> None:
    data = {**json.loads(MANIFEST.model_dump_json()), **changes}
    (folder / "manifest.json").write_text(json.dumps(data))


def test_it_comes_back_as_written(tmp_path: Path) -> None:
    """This ensures that no field is lost, and that people can read the file."""
    write_manifest(tmp_path, MANIFEST)

    assert read_manifest(tmp_path) == MANIFEST
    assert '"title": "Bücherei"' in (tmp_path / "manifest.json").read_text()


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b"\xff\xfe", b'{"format_version": "1"}', b"{}"])
def test_what_is_no_manifest_is_refused(tmp_path: Path, content: bytes) -> None:
    """This ensures that a truncated or foreign file becomes our error, with its path."""
    (tmp_path / "manifest.json").write_bytes(content)

    with pytest.raises(SnapshotCorrupt) as caught:
        read_manifest(tmp_path)

    assert caught.value.where == str(tmp_path / "manifest.json")


def test_a_folder_without_one_is_no_snapshot(tmp_path: Path) -> None:
    """This ensures that a half-written folder is never opened."""
    with pytest.raises(SnapshotCorrupt, match="No such file"):
        read_manifest(tmp_path)


@pytest.mark.parametrize("keep", range(0, 600, 37))
def test_every_truncation_is_noticed(tmp_path: Path, keep: int) -> None:
    """This ensures that a manifest cut off anywhere is refused."""
    write_manifest(tmp_path, MANIFEST)
    path = tmp_path / "manifest.json"
    path.write_bytes(path.read_bytes()[:keep])

    with pytest.raises(SnapshotCorrupt):
        read_manifest(tmp_path)


@pytest.mark.parametrize("version", [OLDEST_SUPPORTED - 1, FORMAT_VERSION + 1, 10**9])
def test_other_formats_are_refused_by_number(tmp_path: Path, version: int) -> None:
    """This ensures that both versions are named, and a newer format is not taken for damage."""
    write(tmp_path, format_version=version, something_new=True)

    with pytest.raises(SnapshotUnsupported, match=rf"format {version}\b.*reads {OLDEST_SUPPORTED} to {FORMAT_VERSION}"):
        read_manifest(tmp_path)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"counts": {"documents": -1, "passages": 2, "sentences": 3}}, r"counts\.documents"),
        ({"counts": {"documents": 1}}, r"counts\.passages"),
        ({"files": {"a": {"bytes": 1, "sha256": "short"}}}, r"files\.a\.sha256"),
        ({"model": None}, "model"),
        ({"invented": 1}, "invented"),
    ],
)
def test_wrong_fields_are_named(tmp_path: Path, changes: dict[str, Any], field: str) -> None:
    """This ensures that the error leads to the field."""
    write(tmp_path, **changes)

    with pytest.raises(SnapshotCorrupt, match=f"field {field}:"):
        read_manifest(tmp_path)


def test_the_content_hash_covers_content_alone() -> None:
    """This ensures that builds of equal input share a hash, and others do not."""
    lexical = {"lexical/0a1b.term": FileIdentity(bytes=1, sha256="b" * 64)}
    equal = MANIFEST.model_copy(
        update={
            "snapshot_id": "x",
            "sequence": 9,
            "created_at": "later",
            "report": {},
            "files": {**MANIFEST.files, **lexical},
        }
    )
    others = [
        MANIFEST.model_copy(update={"corpus_sha256": "1" * 64}),
        MANIFEST.model_copy(update={"split": {"max_tokens": 200}}),
        MANIFEST.model_copy(update={"files": {"catalogue.sqlite": FileIdentity(bytes=1, sha256="c" * 64)}}),
    ]

    assert equal.content_sha256 == MANIFEST.content_sha256
    assert len({m.content_sha256 for m in (MANIFEST, *others)}) == 4
