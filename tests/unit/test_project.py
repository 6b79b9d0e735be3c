"""The rules of the house that a program can check: layers, single places, documentation, formatting."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from ingest.errors import AppError
from service import problems  # noqa: F401  imports every module that defines errors
from service.cli import run
from service.settings import Settings

ROOT = Path(__file__).parents[2]
PACKAGES = ("ingest", "index", "service")
README = (ROOT / "README.md").read_text("utf-8")


def sources() -> list[Path]:
    return [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]


def imported(path: Path) -> set[str]:
    """Return the top-level names that a module imports, wherever in it."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module.split(".")[0])
    return names


@pytest.mark.parametrize(
    ("library", "places"),
    [
        ("faiss", {"index/dense.py"}),
        ("tantivy", {"index/lexical.py"}),
        (
            "sqlite3",
            {
                "index/catalogue.py",
                "index/catalogue_words.py",
                "index/catalogue_writing.py",
                "index/permalinks.py",
                "index/rules.py",
                "index/vector_cache.py",
            },
        ),
        ("pymilvus", {"index/milvus_client.py"}),
        ("milvus_lite", set()),
        ("rapidfuzz", {"index/succession.py", "service/spelling.py"}),
        ("onnxruntime", {"index/encoder.py", "index/export.py"}),
        ("sentence_transformers", {"index/model_loading.py"}),
        ("nupunkt", {"ingest/sentences.py"}),
        ("ray", {"index/ray_executor.py"}),
        ("fasttext", {"service/language.py"}),
        ("mammoth", {"ingest/readers/word.py"}),
        ("uvicorn", {"service/http_server.py"}),
        ("limits", {"service/rate_limit.py"}),
        ("prometheus_client", {"service/metrics.py"}),
        ("watchfiles", {"service/watching.py"}),
        (
            "structlog",
            {
                "service/logs.py",
                "service/edge.py",
                "service/refreshing.py",
                "service/runtime.py",
                "service/app.py",
                "service/gaps.py",
                "service/commands/serving.py",
                "service/http_server.py",
            },
        ),
    ],
)
def test_each_library_stands_behind_its_module(library: str, places: set[str]) -> None:
    """This ensures that a library can be exchanged in one place."""
    found = {path.relative_to(ROOT).as_posix() for path in sources() if library in imported(path)}

    assert found <= places


def test_only_settings_reads_the_environment() -> None:
    """This ensures that every choice of an operator is a documented setting."""
    pattern = re.compile(r"os\.(environ(?!\.setdefault)|getenv)")
    found = {path.relative_to(ROOT).as_posix() for path in sources() if pattern.search(path.read_text("utf-8"))}

    assert found <= {"service/environment.py"}


def test_one_place_renames_and_deletes_in_the_index() -> None:
    """This ensures that what happens to files of an index is decided in the modules that are tested by killing them."""
    pattern = re.compile(r"\.(unlink|rmdir|rename)\(|\b(rmtree|move|os\.(remove|replace|renames))\(")
    found = {p.relative_to(ROOT).as_posix() for p in sources() if pattern.search(p.read_text("utf-8"))}

    assert {name for name in found if name.startswith("index/")} == {"index/files.py"}


def test_modules_stay_readable() -> None:
    """This ensures that a module over 400 lines says on its first line why."""
    long = [p for p in sources() if len(p.read_text("utf-8").splitlines()) > 400]

    assert [p for p in long if "lines" not in p.read_text("utf-8").split("\n\n")[0]] == []


def test_every_module_says_what_it_is_for() -> None:
    """This ensures that a reader finds a module's one reason in its first sentence."""
    assert [p for p in sources() if not ast.get_docstring(ast.parse(p.read_text("utf-8")))] == []


def all_errors(base: type[AppError]) -> set[type[AppError]]:
    return {base}.union(*(all_errors(error) for error in base.__subclasses__()))


def test_every_error_has_a_code_of_its_own() -> None:
    """This ensures that a program can tell errors apart."""
    errors = [e for e in all_errors(AppError) if e.__module__.split(".")[0] in PACKAGES]

    assert len({e.code for e in errors}) == len(errors)


@pytest.mark.parametrize("name", sorted(Settings.model_fields))
def test_every_setting_is_in_the_readme(name: str) -> None:
    """This ensures that an operator finds each setting with its default and what it does, word for word."""
    field = Settings.model_fields[name]
    default = field.get_default(call_default_factory=True)
    shown = "none" if default in ("", (), None) else f"`{default}`"

    assert f"| `{name}` | {shown} | {field.description} |" in README


def test_commands_of_the_readme_exist(capsys: pytest.CaptureFixture[str]) -> None:
    """This ensures that every command that the README tells people to type is there."""
    commands = set(re.findall(r"citewell (\w+)", README))

    for command in commands:
        assert run([command, "--help"]) == 0
        assert f"citewell {command}" in capsys.readouterr().out
    assert len(commands) >= 8


def test_every_make_target_is_phony_and_described() -> None:
    """This ensures that `make help` lists each task, and that no folder of the same name hides it."""
    makefile = (ROOT / "Makefile").read_text("utf-8")
    phony = set(re.findall(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)[0].split())
    targets = set(re.findall(r"^([a-z-]+):.*## ", makefile, re.MULTILINE))

    assert targets == phony


def test_links_between_papers_lead_somewhere() -> None:
    """This ensures that no paper points to a file that has moved."""
    broken = []
    for paper in ROOT.glob("*.md"):
        for target in re.findall(r"`((?:ingest|index|service|corpus|tests)/[\w./-]+)`", paper.read_text("utf-8")):
            if not list(ROOT.glob(target.rstrip("/"))) and "*" not in target:
                broken.append(f"{paper.name}: {target}")

    assert broken == []


@pytest.mark.parametrize(
    "command",
    [
        ("-m", "ruff", "format", "--check", "ingest", "index", "service", "tests"),
        ("-m", "ruff", "check", "ingest", "index", "service", "tests"),
        ("-m", "mypy"),
        ("-c", "from importlinter.cli import lint_imports_command; lint_imports_command()"),
    ],
    ids=["format", "lint", "types", "imports"],
)
def test_the_tools_agree(command: tuple[str, ...]) -> None:
    """This ensures that formatting, lint, types and import rules hold wherever the tests run."""
    result = subprocess.run([sys.executable, *command], cwd=ROOT, capture_output=True, text=True, check=False)

    assert result.returncode == 0, result.stdout[-3_000:] + result.stderr[-1_000:]
