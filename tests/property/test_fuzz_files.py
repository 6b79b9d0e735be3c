"""The files that operators write and the index keeps, damaged: read, or refused by name, and nothing else."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import fuzz_support as fuzz
import pytest
from hypothesis import given
from hypothesis import strategies as st

from index.errors import IndexFault
from index.live import LiveSnapshot
from index.snapshot import open_snapshot
from index.store import IndexDir
from index.testing import write_tiny_snapshot
from ingest.errors import AppError, LibraryError
from ingest.library import open_library
from service.calibration import read_calibration, to_model
from service.environment import load_settings
from service.errors import (
    CalibrationInvalid,
    FloorsInvalid,
    LexiconInvalid,
    NoticesInvalid,
    QuestionsInvalid,
    SettingsInvalid,
)
from service.floors import read_floors
from service.lexicon import read_lexicon
from service.notices import NoticeBoard
from service.questions import read_questions

ROOT = Path(__file__).parents[2]
SETTINGS = b'port = 8001\nhost = "127.0.0.1"\ncors_origins = ["https://example.org"]\nmin_confidence = 0.5\n'


def _open_library(path: Path) -> None:
    (path.parent / "a.md").write_text("# A\n\nA sentence.\n")
    open_library(path.parent)


def assert_helpful(error: AppError, place: str = "") -> None:
    assert error.what
    assert error.fix
    assert place in error.where


FILES: dict[str, tuple[fuzz.Damage, bytes, Callable[[Path], object], type[AppError]]] = {
    "library.toml": (
        fuzz.damage_lines,
        (ROOT / "corpus" / "library.toml").read_bytes(),
        _open_library,
        LibraryError,
    ),
    "lexicon.toml": (
        fuzz.damage_lines,
        (ROOT / "corpus" / "lexicon.toml").read_bytes(),
        read_lexicon,
        LexiconInvalid,
    ),
    "notices.toml": (
        fuzz.damage_lines,
        (ROOT / "corpus" / "notices.toml").read_bytes(),
        NoticeBoard.load,
        NoticesInvalid,
    ),
    "calibration.json": (
        fuzz.damage_json,
        (ROOT / "service" / "data" / "calibration.json").read_bytes(),
        lambda path: to_model(read_calibration(path)[0]),
        CalibrationInvalid,
    ),
    "floors.json": (
        fuzz.damage_json,
        (ROOT / "tests" / "quality" / "baseline.json").read_bytes(),
        read_floors,
        FloorsInvalid,
    ),
    "questions.jsonl": (
        fuzz.damage_json,
        (ROOT / "tests" / "quality" / "starter-questions.jsonl").read_bytes().split(b"\n")[0],
        read_questions,
        QuestionsInvalid,
    ),
}


@pytest.mark.parametrize("name", FILES)
def test_damaged_files_are_read_or_refused_by_name(name: str, tmp_path: Path) -> None:
    """This ensures that an operator's slip of any kind is one error that names the file and says what to mend."""
    damage, whole, read, error_type = FILES[name]
    path = tmp_path / name
    path.write_bytes(whole)
    read(path)
    damaged = st.composite(lambda draw: damage(draw, whole))()

    @fuzz.examples(80)
    @given(damaged)
    def check(data: bytes) -> None:
        path.write_bytes(data)
        try:
            read(path)
        except error_type as error:
            assert_helpful(error, name)

    check()


def test_damaged_settings_are_read_or_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """This ensures that a settings file of any content is settings or one error."""
    monkeypatch.chdir(tmp_path)
    damaged = st.composite(lambda draw: fuzz.damage_lines(draw, SETTINGS))()

    @fuzz.examples(80)
    @given(damaged)
    def check(data: bytes) -> None:
        (tmp_path / "citewell.toml").write_bytes(data)
        try:
            load_settings()
        except SettingsInvalid as error:
            assert_helpful(error)

    check()


@pytest.fixture(scope="module")
def index_dir(tmp_path_factory: pytest.TempPathFactory) -> IndexDir:
    """Publish a tiny snapshot to be damaged."""
    index_dir = IndexDir(tmp_path_factory.mktemp("index"))
    write_tiny_snapshot(index_dir)
    return index_dir


@pytest.mark.parametrize("name", ["manifest.json", "CURRENT"])
def test_damaged_index_is_opened_or_refused(name: str, index_dir: IndexDir, tmp_path: Path) -> None:
    """This ensures that a manifest or pointer of any content is refused with an error of the index, listed and kept."""
    shutil.copytree(index_dir.path, tmp_path / "index")
    damaged_dir = IndexDir(tmp_path / "index")
    (folder,) = damaged_dir.snapshots_path.iterdir()
    path = folder / name if name == "manifest.json" else damaged_dir.path / name
    whole = path.read_bytes()
    damage = fuzz.damage_json if name == "manifest.json" else fuzz.damage_bytes
    damaged = st.composite(lambda draw: damage(draw, whole))()

    @fuzz.examples(100)
    @given(damaged)
    def check(data: bytes) -> None:
        path.write_bytes(data)
        try:
            open_snapshot(damaged_dir).close()
        except IndexFault as error:
            assert_helpful(error)
        damaged_dir_listing(damaged_dir)
        live = LiveSnapshot(damaged_dir)
        assert live.refresh() or live.last_error is not None
        live.close()

    check()


def damaged_dir_listing(index_dir: IndexDir) -> None:
    try:
        listed = index_dir.list_snapshots()
    except IndexFault:
        return
    assert len(listed) == 1
    json.dumps([info.problem for info in listed])
