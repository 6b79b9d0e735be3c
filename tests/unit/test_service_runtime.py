"""What a running process answers with: encoders opened once, models compared, snapshots looked for."""

from __future__ import annotations

from pathlib import Path

import pytest
from structlog.testing import capture_logs

from index.errors import ModelMismatch, ModelUnusable
from index.live import LiveSnapshot
from index.model_files import ModelFiles
from index.store import IndexDir
from index.testing import HashingEmbedder, write_tiny_snapshot
from service import runtime
from service.refreshing import Refresher
from service.runtime import EncoderShelf, open_live
from service.settings import Settings


def test_encoder_is_opened_once_and_two_are_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """This ensures that a question does not load a model, and that old models are let go."""
    opened = []
    monkeypatch.setattr(
        runtime, "open_encoder", lambda _, fingerprint, _precision: opened.append(fingerprint) or fingerprint
    )
    shelf = EncoderShelf(tmp_path)

    for fingerprint in ("a", "a", "b", "a", "c", "b", "a"):
        assert shelf(fingerprint) == fingerprint

    assert opened == ["a", "b", "c", "a"]


def test_encoder_that_was_not_exported_is_said(tmp_path: Path) -> None:
    """This ensures that a missing encoder is an error with what to do."""
    with pytest.raises(ModelUnusable, match="citewell build"):
        EncoderShelf(tmp_path)("f" * 64)


def test_default_model_takes_what_the_index_has(tmp_path: Path) -> None:
    """This ensures that answering does not need the files of the model that built the index."""
    write_tiny_snapshot(IndexDir(tmp_path))
    live = open_live(Settings(index_dir=tmp_path), lambda _: HashingEmbedder())

    assert live.refresh()
    assert live.last_error is None
    live.close()


def test_chosen_model_must_be_the_index_s(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """This ensures that a service with another model than the index refuses it and names both."""
    write_tiny_snapshot(IndexDir(tmp_path))
    monkeypatch.setattr(runtime, "find_model", lambda name: ModelFiles(name, Path(), 128, "f" * 64))
    live = open_live(Settings(index_dir=tmp_path, model="other"), lambda _: HashingEmbedder())

    assert not live.refresh()
    assert isinstance(live.last_error, ModelMismatch)
    assert HashingEmbedder().fingerprint[:12] in live.last_error.what
    assert "f" * 12 in live.last_error.what


def test_snapshot_that_can_t_answer_is_not_taken(tmp_path: Path) -> None:
    """This ensures that a new snapshot answers a question before anybody is sent to it."""
    write_tiny_snapshot(IndexDir(tmp_path))

    def broken(fingerprint: str) -> HashingEmbedder:
        raise ModelUnusable("not exported", where=fingerprint, fix="run `citewell build`")

    live = open_live(Settings(index_dir=tmp_path), broken)

    assert not live.refresh()
    assert live.snapshot_id is None


def test_same_failure_is_logged_once(tmp_path: Path) -> None:
    """This ensures that a service without an index does not fill its log."""
    refresher = Refresher(LiveSnapshot(IndexDir(tmp_path)), interval_s=60.0)

    with capture_logs() as lines:
        for _ in range(3):
            refresher.look()

    assert [line["event"] for line in lines] == ["snapshot_refused"]
    assert "citewell build" in lines[0]["fix"]


def test_unforeseen_failure_does_not_end_the_looking(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """This ensures that the thread outlives a crash, and logs it without its text."""
    live = LiveSnapshot(IndexDir(tmp_path))
    monkeypatch.setattr(live, "refresh", lambda: 1 / 0)

    with capture_logs() as lines:
        Refresher(live, interval_s=60.0).look()

    assert (lines[0]["event"], lines[0]["error"]) == ("snapshot_failed", "ZeroDivisionError")


def test_refresher_ends_when_told(tmp_path: Path) -> None:
    """This ensures that a stopped service leaves no thread behind."""
    refresher = Refresher(LiveSnapshot(IndexDir(tmp_path)), interval_s=3_600.0)

    refresher.start()
    refresher.stop()

    assert not refresher._thread.is_alive()
