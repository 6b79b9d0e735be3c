"""The command line: help, exit codes, JSON and plain output. Serving and building have tests of their own."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path

import pytest
from service_support import abstention_of

from index.build import BuildReport, SourceFailure, build_index
from index.store import IndexDir
from index.testing import HashingEmbedder, tiny_documents, write_tiny_snapshot
from service import answering
from service.cli import run
from service.commands import asking, building

COMMANDS = ["build", "ask", "serve", "verify", "lint", "eval", "snapshots", "rollback", "forget"]
HEAVY = {"torch", "faiss", "tantivy", "onnxruntime", "fastapi", "pydantic", "numpy", "rich", "sentence_transformers"}


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Build a tiny index, work beside it, and answer with its encoder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(asking, "open_encoder", lambda *_: HashingEmbedder())
    write_tiny_snapshot(IndexDir(tmp_path / "index"))
    return tmp_path / "index"


def test_help_loads_nothing_heavy() -> None:
    """This ensures that --help stays fast: it imports neither model, index, web nor table libraries."""
    code = (
        "import sys; from service.cli import run; code = run(['--help']);"
        f"sys.stderr.write(str(sorted({HEAVY!r} & set(sys.modules)))); sys.exit(code)"
    )

    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True, timeout=60)

    assert (done.returncode, done.stderr) == (0, "[]")
    assert all(command in done.stdout for command in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_that_points_to_the_settings(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    """This ensures that each command explains its options and says where else they can be set."""
    code = run([command, "--help"])

    shown = capsys.readouterr().out
    assert code == 0
    assert "citewell.toml" in shown
    assert command in ("lint",) or "--index-dir" in shown


@pytest.mark.parametrize(
    "arguments",
    [
        ["nonsense"],
        ["snapshots", "--nonsense"],
        ["ask"],
        ["ask", "?!"],
        ["ask", "x", "--top-k", "0"],
        ["ask", "x", "--top-k", "21"],
        ["ask", "x", "--source-type", "nobody"],
        ["ask", "x", "--min-confidence", "7"],
        ["serve", "--port", "99999"],
        ["lint", "absent"],
    ],
)
def test_wrong_usage_exits_with_2(arguments: list[str], index: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """This ensures that what the caller got wrong is told from what failed, on standard error alone."""
    code = run([*arguments, *(["--index-dir", str(index)] if arguments[0] == "ask" else [])])

    shown = capsys.readouterr()
    assert code == 2
    assert shown.out == ""
    assert shown.err.startswith("error: ")
    assert "Traceback" not in shown.err


@pytest.mark.parametrize(
    "arguments", [["ask", "x"], ["verify"], ["rollback"], ["verify", "20260101T000000Z-01234567"], ["rollback", "../x"]]
)
def test_nothing_built_exits_with_1(arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """This ensures that a missing index or snapshot is a failure with what to do about it."""
    code = run([*arguments, "--index-dir", str(tmp_path)])

    shown = capsys.readouterr()
    assert code == 1
    assert shown.err.count("\n") == 2


def test_error_for_programs_is_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """This ensures that with --json the error has the same members, to be read by a program."""
    run(["verify", "--json", "--index-dir", str(tmp_path)])

    shown = capsys.readouterr()
    assert shown.out == ""
    assert set(json.loads(shown.err)) == {"code", "what", "where", "fix"}
    assert json.loads(shown.err)["code"] == "no_snapshot"


def test_ask_prints_quotes_and_their_places(index: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """This ensures that an answer outside a terminal is plain text with the quote as it stands."""
    code = run(["ask", "how often is methadone taken", "--min-confidence", "0", "--index-dir", str(index)])

    shown = capsys.readouterr().out
    assert code == 0
    assert "Methadone is a long-acting opioid. It is taken once a day." in shown
    assert "guides/methadone.md, characters 12 to 70" in shown
    assert "Keep in mind: review overdue" in shown
    assert "\x1b" not in shown


def test_ask_as_json_has_the_shape_of_http(index: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """This ensures that what reads the HTTP reply reads this one, and no more passages come than were asked for."""
    run(["ask", "methadone", "--json", "--top-k", "2", "--min-confidence", "0", "--index-dir", str(index)])

    answer = json.loads(capsys.readouterr().out)
    assert list(answer)[:3] == ["answered", "confidence", "reason"]
    assert len(answer["passages"]) == 2


def test_ask_reads_the_question_from_standard_input(
    index: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """This ensures that "-" keeps a question out of the shell's history and the list of processes."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"what is naloxone?\n")))

    code = run(["ask", "-", "--min-confidence", "0", "--index-dir", str(index)])

    assert code == 0
    assert "Naloxone reverses" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("given", "expected"), [(b"\xff\xfe", "UTF-8"), (b"a" * 100_000, "characters"), (b"", "letter")]
)
def test_bad_standard_input_is_refused(
    given: bytes, expected: str, index: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """This ensures that bytes that are no question exit with 2."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(given)))

    code = run(["ask", "-", "--index-dir", str(index)])

    assert code == 2
    assert expected in capsys.readouterr().err


def test_abstention_exits_with_0(
    index: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """This ensures that not knowing is an answer, with the nearest announced as none."""
    monkeypatch.setattr(asking, "answer_question", lambda _question, snapshot, *_, **__: abstention_of(snapshot))

    code = run(["ask", "x", "--index-dir", str(index)])

    shown = capsys.readouterr().out
    assert code == 0
    assert shown.index("tel:112") < shown.index("Nothing in this library") < shown.index("Not an answer")


def test_verify_proves_and_finds_a_flipped_byte(index: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """This ensures that verify exits with 0 for a sound snapshot and with 1 for a damaged one."""
    sound = run(["verify", "--json", "--index-dir", str(index)])
    report = json.loads(capsys.readouterr().out)
    (file,) = index.glob("snapshots/*/dense.faiss")
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.chmod(0o644)
    file.write_bytes(content)
    damaged = run(["verify", "--index-dir", str(index)])

    assert (sound, report["is_sound"], report["documents"]) == (0, True, 4)
    assert damaged == 1
    assert "dense.faiss" in capsys.readouterr().out


def test_snapshots_are_listed_and_rolled_back(index: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """This ensures that an older snapshot can be found and made current again."""
    second = write_tiny_snapshot(IndexDir(index), tiny_documents()[:1])
    run(["snapshots", "--json", "--index-dir", str(index)])
    before = json.loads(capsys.readouterr().out)

    code = run(["rollback", "--json", "--index-dir", str(index)])
    chosen = json.loads(capsys.readouterr().out)["current"]
    run(["snapshots", "--index-dir", str(index)])

    lines = capsys.readouterr().out.splitlines()
    assert code == 0
    assert [(s["id"] == second, s["is_current"]) for s in before] == [(True, True), (False, False)]
    assert chosen == before[1]["id"]
    assert lines[0].split("\t")[:2] == ["snapshot", "current"]
    assert [s["dense"]["index"] for s in before] == ["exact", "exact"]
    assert lines[1].split("\t")[lines[0].split("\t").index("dense index")] == "exact"
    assert [line.split("\t")[0] for line in lines if "\tyes\t" in line] == [chosen]


REPORT = BuildReport(
    snapshot_id="20260101T000000Z-01234567",
    n_documents=2,
    n_passages=9,
    n_sentences=20,
    n_embedded=7,
    n_reused=2,
    failures=(SourceFailure("bad.pdf", "source_malformed", "is truncated", "replace it"),),
    warnings=(("a.md", "it has no date"), ("b.md", "it has no date"), ("b.md", "odd")),
    ignored=("x.exe",),
    seconds={"read": 1.25},
    embedding_passages_per_s=70.4,
    peak_memory_bytes=500_000_000,
)


@pytest.fixture
def _built(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(building, "find_model", lambda name: name)
    monkeypatch.setattr(building, "SentenceTransformerEmbedder", lambda files: files)
    monkeypatch.setattr(building, "build_index", lambda *_, **__: REPORT)


@pytest.mark.usefixtures("_built")
def test_build_reports_and_fails_on_a_lost_file(capsys: pytest.CaptureFixture[str]) -> None:
    """This ensures that a build with a failed file names it with its remedy and exits with 1."""
    code = run(["build", "corpus"])

    shown = capsys.readouterr().out
    assert code == 1
    assert "passages\t9" in shown
    assert "seconds read\t1.2" in shown
    assert "failed: bad.pdf: is truncated (replace it)" in shown
    assert "warning: a.md and 1 more: it has no date" in shown
    assert "ignored: x.exe" in shown


def test_forgetting_prints_a_receipt(
    index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """This ensures that a document in the corpus and an unknown one are refused, and that the receipt is JSON too."""
    monkeypatch.setattr("index.embed.SentenceTransformerEmbedder", lambda _: HashingEmbedder())
    (tmp_path / "corpus").mkdir()
    for name in ("a.md", "b.md"):
        (tmp_path / "corpus" / name).write_text(f"# {name}\n\nWords of {name} to quote.\n")
    build_index(tmp_path / "corpus", index, HashingEmbedder())

    at = ["--index-dir", str(index)]

    refused, unknown = run(["forget", "a.md", *at]), run(["forget", "nothing.md", *at])
    errors = capsys.readouterr().err
    code = run(["forget", "a.md", "--delete-file", *at])
    receipt = capsys.readouterr()
    (tmp_path / "corpus" / "a.md").write_text("# a.md\n\nWords of a.md to quote.\n")
    build_index(tmp_path / "corpus", index, HashingEmbedder())
    as_json = run(["forget", "a.md", "--delete-file", "--json", *at])

    assert (refused, unknown, code, as_json) == (1, 1, 0, 0)
    assert "--delete-file" in errors
    assert "GET /v1/documents" in errors
    for words in ("forgotten: a.md", "deleted: its file", "deleted: snapshot", "checked: ", "out of reach: "):
        assert words in receipt.out
    assert "let go of deleted snapshots" in receipt.err
    assert json.loads(capsys.readouterr().out)["is_complete"]


@pytest.mark.usefixtures("_built")
def test_build_can_be_told_to_accept_failures(capsys: pytest.CaptureFixture[str]) -> None:
    """This ensures that --allow-failures exits with 0 and the JSON still names the failure."""
    code = run(["build", "corpus", "--allow-failures", "--json"])

    report = json.loads(capsys.readouterr().out)
    assert code == 0
    assert report["failures"][0]["path"] == "bad.pdf"
    assert report["warnings"][0] == ["a.md", "it has no date"]


def test_lint_lists_what_to_mend(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """This ensures that lint exits with 1 only when the library itself calls a missing field an error."""
    (tmp_path / "a.md").write_text("# A\n\nMethadone is a medicine.\n")
    lenient = run(["lint", str(tmp_path), "--json"])
    advice = json.loads(capsys.readouterr().out)
    (tmp_path / "library.toml").write_text('[lint]\nrequired = ["publisher"]\n')
    strict = run(["lint", str(tmp_path)])

    assert (lenient, advice["n_errors"]) == (0, 0)
    assert any(f["field"] == "publisher" for f in advice["findings"])
    assert strict == 1
    assert "error: a.md: publisher" in capsys.readouterr().out


def test_eval_measures_a_file_of_questions(index: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """This ensures that labelled questions are asked of the index and the measures come as JSON without their texts."""
    gold = {"document": "guides/naloxone.md", "quote": "Naloxone reverses an opioid overdose."}
    line = {"id": "q1", "question": "what does naloxone reverse", "kind": "fact", "gold": [gold]}
    (tmp_path / "q.jsonl").write_text(json.dumps(line) + "\n")

    code = run(["eval", str(tmp_path / "q.jsonl"), "--json", "--index-dir", str(index)])

    shown = capsys.readouterr().out
    assert code == 0
    assert json.loads(shown)["questions"]["n"] == 1
    assert "reverse" not in shown.replace("reversed", "").split('"outcomes"')[1]


def test_eval_of_a_missing_file_exits_with_2(index: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """This ensures that a file of questions that is not there is wrong usage with its name."""
    code = run(["eval", str(tmp_path / "absent.jsonl"), "--index-dir", str(index)])

    assert code == 2
    assert "absent.jsonl" in capsys.readouterr().err


def test_model_that_was_chosen_must_be_the_index_s(
    index: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """This ensures that asking with another model than the index's is refused with both names."""
    from index.model_files import ModelFiles
    from service import runtime

    monkeypatch.setattr(runtime, "find_model", lambda name: ModelFiles(name, Path(), 128, "f" * 64))

    code = run(["ask", "x", "--model", "other", "--index-dir", str(index)])

    shown = capsys.readouterr().err
    assert code == 1
    assert "hashing" in shown
    assert "other" in shown


def test_documents_can_t_drive_the_terminal(
    index: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """This ensures that escape sequences in a document are shown as a mark on a terminal, and kept elsewhere."""
    from service.commands import output

    monkeypatch.setattr(output, "is_terminal", lambda: True)

    output.print_quote([("a\x1b]0;evil\x07b\n", False), ("c\x1b[2J", True)])

    shown = capsys.readouterr().out
    assert "\x1b]" not in shown
    assert "\x1b[2J" not in shown
    assert "\x07" not in shown
    assert shown.count("\x1b[1m") == 1


def test_caps_of_asking_are_those_of_the_settings() -> None:
    """This ensures that the settings' defaults are the limits that answering states."""
    from service.settings import Settings

    assert Settings().max_top_k == answering.MAX_TOP_K
    assert Settings().max_question_chars == answering.MAX_QUESTION_CHARS
    assert Settings().min_confidence == answering.AnswerPolicy().min_confidence


def test_module_runs_as_the_command_does() -> None:
    """This ensures that `python -m service.cli` does what was asked, and not nothing with exit code 0."""
    done = subprocess.run([sys.executable, "-m", "service.cli", "no-such-command"], check=False, capture_output=True)

    assert done.returncode == 2
    assert b"no-such-command" in done.stderr
