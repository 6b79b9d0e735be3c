"""Finding and identifying a model's files."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from index import model_files
from index.errors import ModelUnusable
from index.model_files import find_model


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder that looks like a small model."""
    made = tmp_path / "model"
    made.mkdir()
    (made / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": 256}))
    (made / "model.safetensors").write_bytes(b"weights")
    return made


def test_the_fingerprint_follows_every_file_of_the_model(folder: Path) -> None:
    """This ensures that changed weights are another model, whatever the folder is called."""
    before = find_model(str(folder)).fingerprint

    (folder / "model.safetensors").write_bytes(b"weightz")

    assert find_model(str(folder)).fingerprint != before


def test_the_fingerprint_does_not_follow_the_place(folder: Path, tmp_path: Path) -> None:
    """This ensures that a model moved to another folder still fits its index."""
    moved = shutil.copytree(folder, tmp_path / "elsewhere" / "model")
    (moved / "README.md").write_text("notes are no part of the model")

    assert find_model(str(moved)).fingerprint == find_model(str(folder)).fingerprint


def test_the_default_model_is_checked_against_its_checksum(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """This ensures that damaged or replaced weights are refused with both hashes."""
    monkeypatch.setattr(model_files, "_default_folder", lambda: folder)

    with pytest.raises(ModelUnusable, match="expected 53aa5117"):
        find_model()


def test_a_name_that_is_no_folder_and_not_downloaded_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """This ensures that a hub name without network gives an error that says what to do."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")

    with pytest.raises(ModelUnusable) as caught:
        find_model("example/no-such-model")

    assert "folder" in caught.value.fix


@pytest.mark.parametrize("content", ["{}", "not json", '{"max_seq_length": "many"}'])
def test_a_folder_without_a_limit_is_refused(folder: Path, content: str) -> None:
    """This ensures that a broken configuration is named instead of a wrong limit being guessed."""
    (folder / "sentence_bert_config.json").write_text(content)

    with pytest.raises(ModelUnusable, match="max_seq_length"):
        find_model(str(folder))
