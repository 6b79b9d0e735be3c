"""Where the question encoder is exported to, whatever happens meanwhile; the export itself is in the contract tests."""

from __future__ import annotations

import errno
import json
from pathlib import Path

import pytest

import index.export
from index.encoder import (
    DESCRIPTION,
    EXPORT_VERSION,
    GRAPH,
    GRAPH_INT8,
    TOKENIZER,
    encoder_folder,
    file_sha256,
    open_encoder,
)
from index.errors import ModelUnusable, StorageFailed
from index.export import ensure_encoder
from index.model_files import ModelFiles

FINGERPRINT = "f" * 64


@pytest.fixture
def files(tmp_path: Path) -> ModelFiles:
    return ModelFiles("tiny", tmp_path, 256, FINGERPRINT)


@pytest.fixture
def exports(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Write small files instead of a graph; returns the folders that were written."""
    folders: list[Path] = []

    def export(files: ModelFiles, folder: Path) -> None:
        folders.append(folder)
        names = (GRAPH, GRAPH_INT8, TOKENIZER)
        for name in names:
            (folder / name).write_bytes(name.encode())
        description = {"export_version": EXPORT_VERSION, "fingerprint": files.fingerprint}
        hashes = {name: file_sha256(folder / name) for name in names}
        sizes = {"dimension": 3, "max_tokens": 256, "files": hashes}
        (folder / DESCRIPTION).write_text(json.dumps({**description, **sizes}))

    monkeypatch.setattr(index.export, "_export", export)
    return folders


def test_what_killed_exports_left_is_deleted(files: ModelFiles, exports: list[Path], tmp_path: Path) -> None:
    """This ensures that stale folders go with the next build, also when the encoder is there already."""
    final = ensure_encoder(tmp_path, files)
    stale = final.with_name(".export-1-abcd")
    stale.mkdir()
    (stale / GRAPH).write_bytes(b"half")

    ensure_encoder(tmp_path, files)

    assert [path.name for path in final.parent.iterdir()] == [final.name]
    assert len(exports) == 1


def test_a_damaged_encoder_is_replaced(files: ModelFiles, exports: list[Path], tmp_path: Path) -> None:
    """This ensures that one changed byte means another export, and that nothing of the old one stays."""
    final = ensure_encoder(tmp_path, files)
    (final / GRAPH).write_bytes(b"grapH")
    (final / "other").write_bytes(b"")

    ensure_encoder(tmp_path, files)

    assert len(exports) == 2
    assert sorted(path.name for path in final.iterdir()) == sorted([GRAPH, GRAPH_INT8, TOKENIZER, DESCRIPTION])


def test_an_export_of_a_version_before_is_completed(files: ModelFiles, exports: list[Path], tmp_path: Path) -> None:
    """This ensures that the build after an upgrade adds the graph of 8 bits; till then the other one is used."""
    final = ensure_encoder(tmp_path, files)
    description = json.loads((final / DESCRIPTION).read_text())
    del description["files"][GRAPH_INT8]
    (final / DESCRIPTION).write_text(json.dumps(description))
    (final / GRAPH_INT8).unlink()

    with pytest.raises(ModelUnusable, match=r"exported no encoder\.int8\.onnx"):
        open_encoder(tmp_path, FINGERPRINT, "int8")
    with pytest.raises(ModelUnusable, match="not a tokenizer file"):  # its own files were found as they should be
        open_encoder(tmp_path, FINGERPRINT)
    ensure_encoder(tmp_path, files)

    assert len(exports) == 2
    assert (final / GRAPH_INT8).exists()


def test_a_full_disk_is_named_and_leaves_nothing(
    files: ModelFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """This ensures that an export that fails is a storage error with advice, without a folder that looks whole."""

    def full(_files: ModelFiles, folder: Path) -> None:
        (folder / GRAPH).write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(index.export, "_export", full)

    with pytest.raises(StorageFailed, match="No space left"):
        ensure_encoder(tmp_path, files)

    assert list(encoder_folder(tmp_path, FINGERPRINT).parent.iterdir()) == []
