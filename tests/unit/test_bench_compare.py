"""The comparison with other libraries: its material, its rows, its rule and its report. No model, no other library."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import compare
import compare_material
import compare_plots
import compare_report
import compare_rows
import compare_run
import numpy as np
import pytest
import side_citewell
from compare_quality import Judged, judge, place_labels, summarise
from compare_rows import Row
from compare_side import Job
from compare_size import Collection

from index.snapshot import Snapshot, open_snapshot
from index.store import IndexDir
from index.testing import write_tiny_snapshot
from index.verify import verify_snapshot
from service.questions import Label, LabelledQuestion

MACHINE = {
    "processor": "P",
    "instructions": "avx2",
    "cores": "2",
    "memory": "8 GB",
    "kernel": "Linux",
    "python": "3.11",
}


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep what somebody set for `make bench` out of the tests."""
    for name in ("BENCH", "BENCH_DATA", "BENCH_INDEX", "BENCH_WORK"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def base(tmp_path: Path) -> Any:
    """Return an index of four documents with a folder where the exported encoder would be, and its snapshot."""
    folder = tmp_path / "base"
    write_tiny_snapshot(IndexDir(folder))
    (folder / "encoders").mkdir()
    with open_snapshot(IndexDir(folder)) as snapshot:
        yield folder, snapshot


def plan_of(snapshot: Snapshot, size: int) -> compare_material.Plan:
    return compare_material.make_plan(list(snapshot.catalogue.iter_documents()), size)


def test_sizes_are_samples_the_whole_and_copies(base: Any) -> None:
    """This ensures that documents are never cut, that a near size is the base, and that copies fill up the rest."""
    _, snapshot = base
    n = snapshot.manifest.counts.passages

    sample, whole, copied = plan_of(snapshot, 2), plan_of(snapshot, 0), plan_of(snapshot, 3 * n + 1)

    assert (sample.kind, whole.kind, copied.kind) == ("sample", "whole", "perturbed")
    assert 2 <= sample.n_passages < n == whole.n_passages
    assert 3 * n + 1 <= copied.n_passages < 4 * n
    assert plan_of(snapshot, n) == whole


def test_exchanged_words_move_nothing(base: Any) -> None:
    """This ensures that a copy differs inside its passages alone, at the same offsets, and is the same each time."""
    text = "Heading stays here. " + "methadone reverses nothing whatever people believe about treatment " * 8
    pool = compare_material.WordPool(iter([text, "naloxone buprenorphine overdoses happening"]))
    span = (20, len(text))

    chances = [compare_material.random.Random(1) for _ in range(2)]
    first, second = (compare_material.exchange_words(text, [span], pool, chance) for chance in chances)

    assert first == second != text
    assert (len(first), first[:20]) == (len(text), text[:20])
    assert [len(word) for word in first.split(" ")] == [len(word) for word in text.split(" ")]


def test_perturbed_library_is_a_sound_snapshot(base: Any, tmp_path: Path) -> None:
    """This ensures that Citewell's side writes and publishes a real snapshot, every promise of which holds."""
    folder, snapshot = base
    size = 3 * snapshot.manifest.counts.passages
    job = Job(tmp_path / "made", False, size, tmp_path, tmp_path, tmp_path, folder)

    side = side_citewell.make()
    side.prepare(job)
    built = side.build(job)

    with open_snapshot(IndexDir(job.folder)) as made:
        report = verify_snapshot(made)
        assert (report.problems, made.manifest.counts.passages) == ((), size)
        assert {document.id.split("/")[0] for document in made.catalogue.iter_documents()} >= {"copy-1", "copy-2"}
    assert built["n"] == size
    assert set(built["phases"]) == {"catalogue", "evidence", "dense", "lexical", "seal", "verify"}


def test_other_sides_get_the_same_passages_and_vectors(base: Any, tmp_path: Path) -> None:
    """This ensures that row i of the texts and row i of the vectors are passage i of Citewell's own index."""
    _, snapshot = base
    plan = plan_of(snapshot, 3 * snapshot.manifest.counts.passages)

    compare_material.write_texts(tmp_path, snapshot, plan)
    compare_material.write_vectors(tmp_path, plan.n_passages, compare_material.iter_vectors(snapshot, plan))

    texts, vectors = compare_material.read_texts(tmp_path), compare_material.read_vectors(tmp_path)
    expected = [p.text for _, passages in compare_material.iter_documents(snapshot, plan) for p in passages]
    evidence = list(compare_material.iter_evidence(snapshot, plan))
    assert texts == expected
    assert (len(texts), len(vectors), len(evidence)) == (plan.n_passages,) * 3
    assert np.allclose(np.linalg.norm(np.asarray(vectors, np.float32), axis=1), 1, atol=1e-3)
    assert np.array_equal(vectors[0], snapshot.dense.vectors(np.array([0]))[0].astype(np.float16))


def row(side: str, run: str = "r1", measure: str = "ask", size: str = "base", **values: Any) -> Row:
    return Row(run, measure, size, side, values)


def test_row_that_was_cut_off_is_left_out(tmp_path: Path) -> None:
    """This ensures that a run that was killed while it wrote loses that row alone; damage elsewhere is told."""
    path = tmp_path / "results.jsonl"
    compare_rows.add_row(path, row("plain", ms=[1.0]))
    whole = path.read_text()

    path.write_text(whole + whole[:20])

    assert compare_rows.read_rows(path) == [row("plain", ms=[1.0])]
    path.write_text(whole[:20] + "\n" + whole)
    with pytest.raises(ValueError, match=r"Unterminated|Expecting|Invalid"):
        compare_rows.read_rows(path)


def test_ratios_of_two_runs_go_through_the_control(tmp_path: Path) -> None:
    """This ensures that Citewell measured again in an hour twice as slow keeps its ratio, also after compacting."""
    path = tmp_path / "results.jsonl"
    for run, slow, sides in (("r1", 1.0, ("citewell", "txtai", "plain")), ("r2", 2.0, ("citewell", "plain"))):
        compare_rows.add_row(path, row("", run, "run", "", machine=MACHINE))
        for side, ms in zip(sides, (10.0, 30.0, 20.0) if len(sides) == 3 else (10.0, 20.0), strict=True):
            compare_rows.add_row(path, row(side, run, ms=[ms * slow] * 3))

    compare_rows.compact(path)
    rows = compare_rows.read_rows(path)

    found = {s: compare_rows.ratio(rows, "ask", "base", s, "citewell", "ms") for s in ("txtai", "plain", "haystack")}
    assert [r.side for r in rows if r.measure == "ask"] == ["txtai", "plain", "citewell", "plain"]
    assert (found["txtai"].median, found["plain"].median, found["haystack"]) == (3.0, 2.0, None)  # type: ignore[union-attr]


def test_rows_of_another_machine_are_dropped(tmp_path: Path) -> None:
    """This ensures that no table mixes machines."""
    path = tmp_path / "results.jsonl"
    for run, cores in (("r1", "2"), ("r2", "64")):
        compare_rows.add_row(path, row("", run, "run", "", machine={**MACHINE, "cores": cores}))
        compare_rows.add_row(path, row("plain", run, ms=[1.0]))

    assert compare_rows.drop_other_machines(path, MACHINE) == 2
    assert {r.run for r in compare_rows.read_rows(path)} == {"r1"}


def test_ratio_is_over_pairs() -> None:
    """This ensures that a slow question, slow for both, moves no ratio; and that few values show their whole range."""
    found = compare_rows.pairwise_ratio([2.0, 200.0, 6.0], [1.0, 100.0, 2.0])

    assert found == compare_rows.Spread(2.0, 2.0, 3.0, 3)
    assert compare_rows.pairwise_ratio([], [1.0]) is None
    assert compare_rows.spread(list(range(1, 10))).low == 3.0


def test_every_side_is_judged_by_the_same_rule() -> None:
    """This ensures that a small passage inside a label and a large chunk around it are right, a touching one is not."""
    text = "x" * 400 + "the quote" + "y" * 400
    question = LabelledQuestion("q", 1, "?", "fact", (Label("a", quote="the quote"),), (Label("gone", quote="no"),))
    spans = place_labels(question, lambda name: text if name == "a" else None)

    judged = judge(
        question, spans, [("b", 400, 409), ("a", 0, 402), ("a", 100, 700), ("a", 400, 404)], is_answered=True
    )

    assert spans == {"a": [(400, 409)]}
    assert judged.relevance == (False, False, True, True)
    unplaced = judge(replace(question, kind="unanswerable_far"), {}, [("a", 0, 9)], is_answered=False)
    assert unplaced == Judged("unanswerable_far", False, None)


def test_summary_tells_shares_answered() -> None:
    """This ensures that hits count labelled questions alone, and unanswerable ones by kind."""
    judged = [
        Judged("fact", True, (False, True)),
        Judged("fact", True, (True,)),
        Judged("unanswerable_near", True, None),
        Judged("unanswerable_far", False, None),
        Judged("unanswerable_far", True, None),
    ]

    found = summarise(judged)

    assert (found["hit@1"]["value"], found["hit@3"]["value"], found["mrr@10"]["value"]) == (0.5, 1.0, 0.75)
    assert found["answered_near"] == {"share": 1.0, "n": 1}
    assert found["answered_far"] == {"share": 0.5, "n": 2}


def results() -> list[Row]:
    """Return rows of one run: the plain script builds faster, txtai failed, Haystack was measured beside other work."""
    told = {"machine": MACHINE, "versions": {"txtai": "9"}, "command": "python tests/bench/compare.py"}
    limits = {"build_s": 10.0, "ask_s": 10.0, "memory_gb": 8.0}
    memory = {"rss": 3e8, "pss": 2e8, "own": 1e8}

    def built(side: str, seconds: float) -> Row:
        return row(side, measure="index", seconds=[seconds], n=1000, peak=5e8, disk=1e8, phases={}, index="exact")

    def asked(side: str, ms: float) -> Row:
        return row(side, ms=[ms] * 9, n=9, p50=ms, p95=ms, p99=ms, memory=memory, failed="")

    quality = summarise([Judged("fact", True, (True,)), Judged("fact", True, (False,))])
    return [
        row("", measure="run", size="", limits=limits, **told),
        row("", measure="size", n=1000, documents=9, kind="whole", base="base"),
        built("citewell", 4.0),
        built("plain", 1.0),
        row("txtai", measure="index", failed="took longer than 10 s"),
        asked("citewell", 5.0),
        replace(asked("haystack", 50.0), others=1.5),
        row("txtai", ms=[9.0], n=1, p50=9.0, p95=9.0, p99=9.0, memory={}, failed="took longer than 10 s"),
        row("citewell-http", ms=[], n=0, memory={}, failed="the service answered 503"),
        row("citewell", measure="start", seconds=[1.0], failed=""),
        row("citewell", measure="quality", **quality),
        row("haystack+own-split", measure="quality", **quality),
    ]


def test_report_tells_what_is_against_us_and_what_failed() -> None:
    """This ensures that a faster peer, a peer that gave up and figures from a busy machine can't be overlooked."""
    report = "\n".join(compare_report.report_lines(results()))

    assert "- plain script makes an index of ready vectors 4.0 times as fast at 1,000 passages." in report
    assert "| txtai | took longer than 10 s |" in report
    assert "| Haystack | 9 | 50.0 | 50.0 | 50.0 | 10.0 (10.0–10.0) * |" in report
    assert "| txtai | 1, then it took longer than 10 s |" in report
    assert "| Citewell over HTTP | the service answered 503 |" in report
    assert "Other work ran on the machine" in report
    assert "**1,000 passages (all of base)**" in report
    assert "Haystack, its own splitting" in report


def test_curves_leave_out_what_was_not_taken(tmp_path: Path) -> None:
    """This ensures that a side that failed at a size has no point there, and that the plot is small."""
    panels = {
        title: compare_plots.curves(results(), measure, value) for title, _, measure, value in compare_plots.PANELS
    }

    (path,) = compare_plots.draw(results(), tmp_path)

    assert panels["Index from ready vectors"] == {"citewell": [(1000, 4.0)], "plain": [(1000, 1.0)]}
    assert panels["A whole question, median"] == {
        "citewell": [(1000, 5.0)],
        "txtai": [(1000, 9.0)],
        "haystack": [(1000, 50.0)],
    }
    assert panels["Resident memory while asking"].keys() == {"citewell", "haystack"}
    assert 1_000 < path.stat().st_size < 200_000


def test_results_that_are_kept_are_drawn_as_they_stand(tmp_path: Path) -> None:
    """This ensures that RESULTS.md is what `--report-only` makes of results.jsonl, and holds no path of a machine."""
    rows = compare_rows.read_rows(compare.HERE / "results.jsonl")

    report = "\n".join(compare_report.report_lines(rows)) + "\n"

    assert (compare.HERE / "RESULTS.md").read_text("utf-8") == report
    assert "/home/" not in report
    assert "--data BENCH_DATA" in report


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (["--only", "lucene"], "no such side: lucene; there are citewell, txtai, haystack, plain"),
        (["--variants", "stemmed"], "no such variant: stemmed"),
        (["--sizes", "base,many"], 'many: a size is "base" or a number of passages'),
        (["--sizes", "0"], '0: a size is "base" or a number'),
        (["--data", "FOLDER"], "has no data/medquad: name a folder that has (BENCH_DATA), or none"),
        (["--index", "FOLDER"], "is no finished index: name one (BENCH_INDEX)"),
    ],
    ids=lambda value: value[1] if isinstance(value, list) else "",
)
def test_options_are_checked(wrong: list[str], told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """This ensures that what can't be measured is told before anything is, with what to do."""
    with pytest.raises(SystemExit):
        compare.parse([str(tmp_path) if word == "FOLDER" else word for word in wrong])

    assert told in " ".join(capsys.readouterr().err.split())


def test_quick_results_are_kept_apart() -> None:
    """This ensures that a run of a few minutes does not replace the long run's figures."""
    assert compare.parse(["--quick"]).results.parent.name == "quick"
    assert compare.parse([]).results == compare.HERE / "results.jsonl"


def test_command_is_told_without_places(tmp_path: Path) -> None:
    """This ensures that the report names the command, with variables where this machine's folders were."""
    for name in ("data/medquad", "eval/medquad-dev.jsonl"):
        (tmp_path / name).mkdir(parents=True)
    options = compare.parse(["--data", str(tmp_path), "--only", "citewell", "--sizes", "base"])

    command = compare.command_of(options)

    assert "--data BENCH_DATA" in command
    assert "--only citewell" in command
    assert str(tmp_path) not in command


def test_sides_that_are_not_installed_are_left_out_and_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """This ensures that a missing peer costs its column, and that the control runs whatever was asked for."""
    monkeypatch.setattr(compare, "SIDES", {"citewell": "", "absent": "no_such_library", "plain": ""})

    assert compare.chosen_sides("") == ["citewell", "plain"]
    assert compare.chosen_sides("citewell") == ["citewell", "plain"]
    assert "left out: absent is not installed" in capsys.readouterr().out


def test_questions_are_taken_evenly_and_turns_rotate() -> None:
    """This ensures that a file sorted by kind is not cut at its end, and that no side is always first."""
    questions = [LabelledQuestion(str(i), i, "?", "fact") for i in range(10)]

    assert [q.id for q in compare_run.evenly(questions, 4)] == ["0", "2", "5", "7"]
    assert compare_run.evenly(questions, 0) == questions
    assert [compare_run.rotated("abc", turn) for turn in (0, 1, 5)] == [
        ["a", "b", "c"],
        ["b", "c", "a"],
        ["c", "a", "b"],
    ]


def test_sizes_depend_on_what_is_at_hand() -> None:
    """This ensures that a stranger without the large collection gets sizes that the starter library can make."""
    medquad, starter = (Collection(name, Path(), Path(), None) for name in ("medquad", "starter"))

    assert compare_run.sizes_of(compare.parse(["--sizes", "base,2000"]), starter) == [0, 2000]
    assert compare_run.sizes_of(compare.parse([]), medquad) == [2000, 0, 350_000, 1_000_000]
    assert compare_run.sizes_of(compare.parse([]), starter) == [0, 2000]
    assert compare_run.sizes_of(compare.parse(["--quick"]), medquad) == [0, 500]
