"""Files that an operator edits while people ask: a good edit counts, a broken or half-written one never does."""

from __future__ import annotations

import pickle
import shutil
from pathlib import Path

import pytest
from service_support import tiny_client

from index.manifest import Manifest
from index.snapshot import open_snapshot
from index.store import IndexDir
from index.testing import write_tiny_snapshot
from service.calibration import SHIPPED
from service.errors import CalibrationInvalid, NoticesInvalid
from service.operator_files import OperatorFiles, open_files
from service.settings import Settings

CORPUS = Path(__file__).parents[2] / "corpus"
TITLE = "This may be an overdose"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Return settings with copies of the starter library's files."""
    for name in ("notices.toml", "lexicon.toml"):
        shutil.copy(CORPUS / name, tmp_path / name)
    return Settings(notices=tmp_path / "notices.toml", lexicon=tmp_path / "lexicon.toml")


def shown_title(files: OperatorFiles) -> str:
    assert files.notices.value is not None
    return files.notices.value.choose("he is not breathing and his lips are blue", None)[0].title.partition(".")[0]


def change(path: Path, old: str, new: str) -> None:
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new), "utf-8")


def test_good_edit_counts_once_it_stands_still(settings: Settings) -> None:
    """This ensures that an edit is taken at the second look after it, as a file may be half written at the first."""
    files = open_files(settings)
    change(settings.notices, TITLE, "Overdose, act now")

    first, title_then, second = files.look(None), shown_title(files), files.look(None)

    assert (first, title_then) == ({}, TITLE)
    assert second == {"notices": True}
    assert shown_title(files) == "Overdose, act now"
    assert files.look(None) == {}


@pytest.mark.parametrize("broken", ["[[notices", "[[notices]]\nid = 1\n", "", "\x00"])
def test_broken_edit_keeps_the_old(settings: Settings, broken: str) -> None:
    """This ensures that a slip in the notices leaves the old ones in use and shows in health, until it is mended."""
    files = open_files(settings)
    good = settings.notices.read_text("utf-8")
    settings.notices.write_text(broken)
    looks = [files.look(None) for _ in range(3)]
    title, warnings = shown_title(files), files.warnings()
    settings.notices.write_text(good + "\n# mended\n")
    mended = [files.look(None) for _ in range(2)]

    assert looks == [{}, {"notices": False}, {}]
    assert title == TITLE
    assert any("notices.toml changed and can't be used" in warning for warning in warnings)
    assert mended == [{}, {"notices": True}]
    assert not any("changed" in warning for warning in files.warnings())


def test_vanished_file_keeps_the_old(settings: Settings) -> None:
    """This ensures that a file that is being replaced, or was deleted, takes no notice from anybody."""
    files = open_files(settings)
    kept = settings.notices.rename(settings.notices.with_suffix(".aside"))
    looks = [files.look(None) for _ in range(3)]
    title, warnings = shown_title(files), files.warnings()
    kept.rename(settings.notices)
    for _ in range(2):
        files.look(None)

    assert looks == [{}, {"notices": False}, {}]
    assert title == TITLE
    assert any("is gone" in warning for warning in warnings)
    assert not any("is gone" in warning for warning in files.warnings())


def test_file_that_appears_is_read(settings: Settings, tmp_path: Path) -> None:
    """This ensures that notices written after the start are shown without a restart."""
    aside = settings.notices.rename(tmp_path / "aside")
    files = open_files(settings)
    before = files.warnings()
    aside.rename(settings.notices)
    for _ in range(2):
        files.look(None)

    assert any("no crisis notices" in warning for warning in before)
    assert shown_title(files) == TITLE


def test_same_size_and_time_with_another_inode_is_a_change(settings: Settings, tmp_path: Path) -> None:
    """This ensures that an editor that renames a new file into place is noticed whatever its clock says."""
    import os

    files = open_files(settings)
    status = settings.notices.stat()
    other = tmp_path / "other"
    other.write_text(settings.notices.read_text("utf-8").replace(TITLE, TITLE[::-1]), "utf-8")
    os.utime(other, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert other.stat().st_size == status.st_size
    other.replace(settings.notices)
    for _ in range(2):
        files.look(None)

    assert shown_title(files) == TITLE[::-1]


def test_lexicon_is_read_again(settings: Settings) -> None:
    """This ensures that a new word is understood without a restart."""
    files = open_files(settings)
    assert files.lexicon.value is not None
    with settings.lexicon.open("a", encoding="utf-8") as file:
        file.write('zanz = "zanzibar"\n')  # the file ends with the table of shorthand
    for _ in range(2):
        files.look(None)

    assert files.lexicon.value.shorthand["zanz"] == "zanzibar"


def _manifest(folder: Path) -> Manifest:
    write_tiny_snapshot(IndexDir(folder))
    with open_snapshot(IndexDir(folder)) as snapshot:
        return snapshot.manifest


def test_calibration_of_another_model_is_not_taken(tmp_path: Path) -> None:
    """This ensures that a calibration which would fail every question is refused when it is put in place."""
    path = tmp_path / "calibration.json"
    manifest = _manifest(tmp_path / "index")
    text = SHIPPED.read_text("utf-8")
    shipped_for = text.partition('"fingerprint": "')[2][:64]
    path.write_text(text.replace(shipped_for, manifest.model.fingerprint))
    files = open_files(Settings(calibration=path))
    assert files.calibration is not None
    before = files.calibration.value
    path.write_text(text)
    looks = [files.look(manifest) for _ in range(2)]

    assert looks == [{}, {"calibration": False}]
    assert files.calibration.value is before
    assert any("calibration was fitted with model" in warning for warning in files.warnings())


def test_broken_file_is_refused_at_start(settings: Settings, tmp_path: Path) -> None:
    """This ensures that nothing starts on a file that was never good, and that a named calibration must be there."""
    settings.notices.write_text("[[notices")
    with pytest.raises(NoticesInvalid):
        open_files(settings)
    with pytest.raises(CalibrationInvalid):
        open_files(Settings(calibration=tmp_path / "none.json"))


def test_new_worker_takes_over_what_was_good(settings: Settings) -> None:
    """This ensures that a worker that is started while a file is broken has the notices that were read before."""
    handed_over = pickle.dumps(open_files(settings))
    settings.notices.write_text("[[notices")
    files = pickle.loads(handed_over)
    looks = [files.look(None) for _ in range(3)]

    assert {"notices": False} in looks
    assert shown_title(files) == TITLE


def test_running_service_takes_the_edit(settings: Settings, tmp_path: Path) -> None:
    """This ensures that the next question after a look gets the new text, and that a broken one shows in health."""
    import time

    danger = {"question": "he is not breathing and his lips are blue"}
    with tiny_client(tmp_path / "served", notices=settings.notices, refresh_s=0.05) as client:
        before = client.post("/v1/ask", json=danger).json()["notices"][0]["title"]
        change(settings.notices, TITLE, "Overdose, act now")
        until = time.monotonic() + 20
        while client.post("/v1/ask", json=danger).json()["notices"][0]["title"] == before:
            assert time.monotonic() < until
        settings.notices.write_text("[[notices")
        while not any("can't be used" in warning for warning in client.get("/v1/health").json()["warnings"]):
            assert time.monotonic() < until
        after = client.post("/v1/ask", json=danger).json()["notices"][0]["title"]

    assert before.startswith(TITLE)
    assert after.startswith("Overdose, act now")
