"""The comparison with other libraries in real processes: a whole small run, and each peer that is installed."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import compare
import pytest
from compare_material import iter_vectors as ready_vectors
from compare_material import make_plan, read_texts, write_documents, write_texts, write_vectors
from compare_process import Limits, SideFailed, memory_bytes, working
from compare_rows import Row, latest, read_rows
from compare_run import Run
from compare_side import Job
from compare_size import Collection
from serving import DOCUMENTS, build_index

from index.snapshot import open_snapshot
from index.store import IndexDir

QUESTIONS = (
    '{"id": "1", "question": "How long does naloxone work?", "kind": "fact", "gold": [{"document": "naloxone.md", '
    '"quote": "Naloxone reverses an opioid overdose for 30 to 90 minutes."}]}\n'
    '{"id": "2", "question": "How do I bake bread?", "kind": "unanswerable_far", "gold": []}\n'
)


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an index of three documents; its corpus is beside it."""
    return build_index(tmp_path_factory.mktemp("bench"))


def make_job(index: Path, folder: Path, *, embed: bool) -> Path:
    """Write the material of the whole base and a job for one side."""
    texts = folder / "texts"
    with open_snapshot(IndexDir(index)) as base:
        plan = make_plan(list(base.catalogue.iter_documents()), 0)
        write_texts(texts, base, plan)
        write_documents(folder / "documents.jsonl", base, plan)
        write_vectors(texts, plan.n_passages, ready_vectors(base, plan))
    job = Job(folder / "index", embed, 0, texts, folder / "documents.jsonl", index.parent / "corpus", index)
    job.write(folder / "job.json")
    return folder / "job.json"


def test_run_keeps_a_row_of_every_measure(index: Path, tmp_path: Path) -> None:
    """This ensures that Citewell, in process and over HTTP, and the control are built, started, asked and judged."""
    (tmp_path / "questions.jsonl").write_text(QUESTIONS)
    collection = Collection("three", index.parent / "corpus", tmp_path / "questions.jsonl", index)
    options = compare.parse(["--work", str(tmp_path / "work"), "--results", str(tmp_path / "r.jsonl"), "--quick"])

    Run("now", options, Limits(300.0, memory_bytes("MemTotal")), ["citewell", "plain"]).measure_size(collection, 0)

    rows = latest(read_rows(tmp_path / "r.jsonl"))
    sides = {
        measure: {side for found, _, side in rows if found == measure}
        for measure in ("build", "start", "ask", "quality")
    }
    assert sides == {
        "build": {"citewell", "plain"},
        "start": {"citewell", "citewell-http", "plain"},
        "ask": {"citewell", "citewell-http", "plain"},
        "quality": {"citewell", "plain"},
    }
    assert [row for row in rows.values() if row.values.get("failed")] == []
    check_values(rows)


def check_values(rows: dict[tuple[str, str, str], Row]) -> None:
    n = len(DOCUMENTS)
    assert {rows["build", "three", side].values["n"] for side in ("citewell", "plain")} == {n}
    assert all(len(rows["ask", "three", side].values["ms"]) == 2 for side in ("citewell", "citewell-http", "plain"))
    assert all(rows["ask", "three", side].values["memory"]["pss"] > 1e7 for side in ("citewell-http", "plain"))
    quality = {side: rows["quality", "three", side].values for side in ("citewell", "plain")}
    assert {side: found["hit@1"]["value"] for side, found in quality.items()} == {"citewell": 1.0, "plain": 1.0}
    assert {side: found["answered_far"]["share"] for side, found in quality.items()} == {"citewell": 0.0, "plain": 1.0}


@pytest.mark.parametrize(
    ("side", "embed"),
    [("txtai", False), ("haystack", True), ("haystack", False)],
    ids=["txtai, ready vectors", "haystack, own split and vectors", "haystack, ready vectors"],
)
def test_peer_finds_what_it_was_given(side: str, embed: bool, index: Path, tmp_path: Path) -> None:
    """This ensures that a peer builds, saves, opens and answers, and names the very passage that it returned."""
    if importlib.util.find_spec(side) is None:
        pytest.skip(f"{side} is not installed: pip install --group bench")
    job = make_job(index, tmp_path, embed=embed)
    limits = Limits(300.0, memory_bytes("MemTotal"))

    with working(side, "build", job, limits) as worker:
        built = worker.read()
    with working(side, "ask", job, limits) as worker:
        reply = worker.ask({"question": "How long does naloxone reverse an overdose?"})

    texts = read_texts(tmp_path / "texts")
    first = reply["found"][0]
    found = texts[first[0]] if side == "txtai" else DOCUMENTS[first[0]][first[1] : first[2]]
    assert (built["n"], reply["answered"]) == (len(DOCUMENTS), True)
    assert "30 to 90 minutes" in found
    assert (tmp_path / "index").is_dir()


@pytest.mark.parametrize(
    ("limits", "reason"),
    [(Limits(0.2, 10**12), "took longer than 0 s"), (Limits(300.0, 10**7), "held more than 0 GB")],
    ids=["time", "memory"],
)
def test_side_that_takes_too_much_is_ended_and_said(limits: Limits, reason: str, index: Path, tmp_path: Path) -> None:
    """This ensures that a side over its limit costs its cell of the table and neither the run nor the machine."""
    job = make_job(index, tmp_path, embed=True)

    with working("plain", "build", job, limits) as worker, pytest.raises(SideFailed, match=reason):
        worker.read()


def test_side_that_breaks_says_its_last_words(index: Path, tmp_path: Path) -> None:
    """This ensures that a peer's own error is what the table shows."""
    job = make_job(index, tmp_path, embed=False)

    with (
        working("plain", "ask", job, Limits(300.0, memory_bytes("MemTotal"))) as worker,
        pytest.raises(SideFailed, match=r"could not open vectors\.faiss") as raised,
    ):
        worker.ask({"question": "nothing was built"})
    assert str(tmp_path) not in str(raised.value)
