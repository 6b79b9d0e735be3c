"""`citewell build` on the command line: what it prints, writes and exits with. The model is a stand-in."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from index.testing import HashingEmbedder
from service.cli import run
from service.commands import building


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Write a corpus of one document, and work beside it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(building, "find_model", lambda _: None)
    monkeypatch.setattr(building, "SentenceTransformerEmbedder", lambda _: HashingEmbedder())
    (tmp_path / "corpus").mkdir()
    (tmp_path / "corpus" / "a.md").write_text("---\ntitle: A\n---\n\nOne stays.\n")
    return tmp_path


def build(*options: str) -> int:
    return run(["build", "corpus", "--index-dir", "index", *options])


def test_a_build_names_what_changed(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """This ensures that an editor sees on screen which documents a build added, moved and removed."""
    build()
    (folder / "corpus" / "a.md").rename(folder / "corpus" / "b.md")
    (folder / "corpus" / "c.md").write_text("---\ntitle: C\n---\n\nThis is new.\n")
    capsys.readouterr()

    code = build()

    lines = capsys.readouterr().out.splitlines()
    assert code == 0
    assert {"added: c.md", "moved: a.md to b.md", "added\t1", "moved\t1", "removed\t0", "embedded\t1"} <= set(lines)


def test_snapshots_show_what_each_build_changed(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """This ensures that the summary of a build can be read long after it."""
    build()
    (folder / "corpus" / "a.md").write_text("---\ntitle: A\n---\n\nOne has changed.\n")
    build()
    capsys.readouterr()

    run(["snapshots", "--index-dir", "index"])
    table = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    run(["snapshots", "--json", "--index-dir", "index"])
    listed = json.loads(capsys.readouterr().out)

    assert [row[table[0].index("changes")] for row in table[1:]] == ["~1", "+1"]
    assert listed[0]["report"]["changed"] == ["a.md"]


@pytest.mark.parametrize(("options", "expected"), [((), 1), (("--allow-failures",), 0)])
def test_a_dry_run_exits_as_a_build_would(
    folder: Path, capsys: pytest.CaptureFixture[str], options: tuple[str, ...], expected: int
) -> None:
    """This ensures that a script can ask beforehand whether a build would report failures, and nothing is written."""
    (folder / "corpus" / "bad.pdf").write_bytes(b"this is no pdf")

    code = build("--dry-run", *options)

    shown = capsys.readouterr().out
    assert code == expected
    assert "would fail: bad.pdf: " in shown
    assert "to embed\t1" in shown.splitlines()
    assert not (folder / "index").exists()


def test_a_dry_run_for_programs_is_json(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """This ensures that the plan has the members of a report that it can have."""
    build("--dry-run", "--json")

    plan = json.loads(capsys.readouterr().out)
    assert plan["changes"] == {"added": ["a.md"], "changed": [], "moved": [], "removed": [], "n_unchanged": 0}
    assert (plan["n_to_embed"], plan["n_documents"], plan["previous_id"]) == (1, 1, "")


def test_a_dry_run_can_not_watch(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """This ensures that two options that exclude each other are wrong usage with both names."""
    code = build("--dry-run", "--watch")

    assert code == 2
    assert "--dry-run and --watch" in capsys.readouterr().err


def test_ray_that_is_not_installed_is_named_with_its_remedy(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """This ensures that asking for Ray without having it says what to install, before anything is read."""
    monkeypatch.setitem(sys.modules, "ray", None)

    code = build("--executor", "ray")

    assert code == 2
    assert "pip install 'citewell[ray]'" in capsys.readouterr().err
    assert not (folder / "index").exists()


def test_an_unknown_executor_is_refused_with_those_there_are(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """This ensures that a slip in the name is told with the names that exist."""
    code = build("--executor", "spark")

    assert code == 2
    assert "'local' or 'ray'" in capsys.readouterr().err


def test_a_default_build_knows_nothing_of_ray(tmp_path: Path) -> None:
    """This ensures that neither the command line nor a build with the local executor imports Ray."""
    program = (
        "import sys; import service.cli, service.commands.building, service.build_child, index.build; "
        "from service.executing import executor_maker; from service.settings import Settings; "
        "executor_maker(Settings())().close(); print('ray' in sys.modules)"
    )

    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert result.stdout.strip() == "False"
