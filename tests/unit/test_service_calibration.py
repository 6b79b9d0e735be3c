"""Fitting a calibration, its file, and holding it against an index."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from index.encoder import Precision
from index.snapshot import Snapshot, open_snapshot
from index.store import IndexDir
from index.testing import HashingEmbedder, write_tiny_snapshot
from service.abstain import AbstainModel
from service.answering import AnswerPolicy
from service.calibration import (
    SHIPPED,
    CalibrationFile,
    abstain_model,
    read_calibration,
    settings_sha256,
    to_model,
    write_calibration,
)
from service.calibration_fit import (
    ANSWERED_SHARE,
    Example,
    Examples,
    check_labels,
    fit_calibration,
    merge,
    operating_point,
    record_examples,
)
from service.cli import run
from service.errors import CalibrationInvalid
from service.floors import read_floors
from service.questions import QuestionFile, read_questions
from service.runtime import policy_for
from service.settings import Settings

CANARY = "zebracrossing"


@pytest.fixture
def snapshot(tmp_path: Path) -> Iterator[Snapshot]:
    index_dir = IndexDir(tmp_path / "index")
    write_tiny_snapshot(index_dir)
    with open_snapshot(index_dir) as opened:
        yield opened


def sentences(snapshot: Snapshot) -> list[tuple[str, str]]:
    """Return every sentence of the library with its document."""
    found = []
    for stored in snapshot.catalogue.passages(range(snapshot.manifest.counts.passages)):
        passage = stored.passage
        found += [
            (stored.document.id, passage.text[a - passage.start : b - passage.start]) for a, b in passage.sentences
        ]
    return found


def write_questions(path: Path, rows: list[dict[str, Any]]) -> QuestionFile:
    """Write a file of questions and read it back."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return read_questions(path)


def labelled(snapshot: Snapshot, n_far: int = 12) -> list[dict[str, Any]]:
    """Return the library's own sentences as answerable questions, and nonsense as far ones."""
    answerable = [
        {"id": f"a{i}", "question": text, "kind": "fact", "gold": [{"document": document, "quote": text}]}
        for i, (document, text) in enumerate(sentences(snapshot))
    ]
    far = [
        {"id": f"f{i}", "question": f"{CANARY} marzipan{i} quasar{i}", "kind": "unanswerable_far", "gold": []}
        for i in range(n_far)
    ]
    return [*answerable, *far, {"id": "c", "question": "film", "kind": "crisis_not", "gold": []}]


def fitted(snapshot: Snapshot, folder: Path) -> CalibrationFile:
    """Return a calibration of the tiny library."""
    file = write_questions(folder / "q.jsonl", labelled(snapshot))
    return fit_calibration(record_examples([file], snapshot, HashingEmbedder()))


def test_a_fit_tells_answerable_from_other_subjects(snapshot: Snapshot, tmp_path: Path) -> None:
    """This ensures that a fitted file gives high confidence to what is there and low to what is not."""
    found = fitted(snapshot, tmp_path)

    far = found.metrics["auroc/far"]
    answered = found.metrics["share_answered/found"]
    assert far is not None
    assert answered is not None
    assert far.value > 0.95
    assert answered.value >= ANSWERED_SHARE
    assert found.topic is not None
    assert found.data[0].model_dump() | {"sha256": "", "corpus_sha256": ""} == {
        "file": "q.jsonl",
        "sha256": "",
        "corpus_sha256": "",
        "n_answerable": len(sentences(snapshot)),
        "n_near": 0,
        "n_far": 12,
        "n_skipped": 1,
    }


def test_the_file_is_read_as_written_and_holds_no_question(snapshot: Snapshot, tmp_path: Path) -> None:
    """This ensures that numbers and fingerprints are kept, and no question's text."""
    path, found = tmp_path / "calibration.json", fitted(snapshot, tmp_path)

    write_calibration(path, found)
    read, sha256 = read_calibration(path)

    assert read == found
    assert to_model(read, sha256).calibration_sha256 == sha256
    assert CANARY not in path.read_text()
    assert not any(text in path.read_text() for _, text in sentences(snapshot))


def test_the_operating_point_answers_the_promised_share_of_what_was_found() -> None:
    """This ensures that libraries count alike, and that questions whose answer was not found lower nothing."""
    rows = [Example("large", "answerable", ())] * 20 + [Example("small", "answerable", ())] * 10
    rows += [Example("small", "answerable", (), is_found=False)] * 50 + [Example("large", "near", ())] * 50
    held_out = [0.9] * 20 + [0.1 * i for i in range(1, 11)] + [0.01] * 100

    point = operating_point(rows, held_out)  # type: ignore[arg-type]  a list compares like an array

    shares = [sum(p >= point for p in held_out[:20]) / 20, sum(p >= point for p in held_out[20:30]) / 10]
    assert point == pytest.approx(0.3)
    assert sum(shares) / 2 == pytest.approx(ANSWERED_SHARE)


@pytest.mark.parametrize(("confidence", "expected"), [(0.4889, 0.48), (0.29, 0.29), (0.57, 0.57), (0.009, 0.0)])
def test_the_operating_point_is_in_hundredths(confidence: float, expected: float) -> None:
    """This ensures that it lies at or below the confidence that it falls on, not on another hundredth by rounding."""
    rows = [Example("lib", "answerable", ())] * 5

    assert operating_point(rows, [confidence] * 5) == expected  # type: ignore[arg-type]  a list compares like an array


def test_the_operating_point_stands_without_any_label_found() -> None:
    """This ensures that labels that lie nowhere still give a point, by all answerable questions."""
    rows = [Example("lib", "answerable", (), is_found=False)] * 10

    assert operating_point(rows, [0.1 * i for i in range(1, 11)]) == pytest.approx(0.2)  # type: ignore[arg-type]


@pytest.mark.parametrize("sides", [("answerable",), ("far", "near"), ()])
def test_one_class_only_is_refused(snapshot: Snapshot, tmp_path: Path, sides: tuple[str, ...]) -> None:
    """This ensures that a file of one class says how many there are of each, and what to add."""
    examples = record_examples([write_questions(tmp_path / "q.jsonl", labelled(snapshot))], snapshot, HashingEmbedder())
    rows = tuple(Example("x", side, (0.0,) * 8) for side in sides for _ in range(20))  # type: ignore[arg-type]

    with pytest.raises(CalibrationInvalid) as caught:
        fit_calibration(Examples(rows, examples.data, examples.providers, examples.model, examples.settings_sha256))

    n_answerable = sum(row.side == "answerable" for row in rows)
    assert f"{n_answerable} questions are answerable and {len(rows) - n_answerable} are not" in caught.value.what
    assert "unanswerable_near" in caught.value.fix


def test_contradictory_labels_are_named_by_id_alone(tmp_path: Path) -> None:
    """This ensures that the same words with two labels are refused, over several files, and not repeated."""
    one = write_questions(
        tmp_path / "one.jsonl", [{"id": "x", "question": f"{CANARY} Dose?", "gold": [{"document": "a", "quote": "b"}]}]
    )
    other = write_questions(
        tmp_path / "other.jsonl",
        [{"id": "y", "question": f"{CANARY}  dose?", "kind": "unanswerable_near", "gold": []}],
    )

    with pytest.raises(CalibrationInvalid, match=r"one\.jsonl: x and other\.jsonl: y") as caught:
        check_labels([one, other])

    assert CANARY not in f"{caught.value.what} {caught.value.where} {caught.value.fix}"


def test_indexes_of_two_models_are_not_merged(snapshot: Snapshot, tmp_path: Path) -> None:
    """This ensures that features of two models never meet in one fit."""
    other_dir = IndexDir(tmp_path / "other")
    embedder = HashingEmbedder(name="otherhash")
    write_tiny_snapshot(other_dir, embedder=embedder)
    file = write_questions(tmp_path / "q.jsonl", labelled(snapshot))
    first = record_examples([file], snapshot, HashingEmbedder())
    with open_snapshot(other_dir) as opened:
        second = record_examples([file], opened, embedder)

    with pytest.raises(CalibrationInvalid, match=r"hashing.*otherhash"):
        merge([first, second])


def test_another_models_calibration_is_refused_with_both_names(snapshot: Snapshot, tmp_path: Path) -> None:
    """This ensures that a calibration that the operator names is never used with vectors it was not fitted on."""
    path = tmp_path / "calibration.json"
    write_calibration(path, fitted(snapshot, tmp_path))
    other_dir = IndexDir(tmp_path / "other")
    write_tiny_snapshot(other_dir, embedder=HashingEmbedder(name="otherhash"))

    with open_snapshot(other_dir) as opened, pytest.raises(CalibrationInvalid) as caught:
        policy_for(Settings(calibration=path), opened)

    assert "model hashing (" in caught.value.what
    assert "otherhash (" in caught.value.what
    assert "citewell calibrate" in caught.value.fix


def test_the_named_calibration_decides(snapshot: Snapshot, tmp_path: Path) -> None:
    """This ensures that the setting is used, that its operating point holds, and that the operator's own wins."""
    path, found = tmp_path / "calibration.json", fitted(snapshot, tmp_path)
    write_calibration(path, found)

    policy = policy_for(Settings(calibration=path), snapshot)

    assert policy.threshold == found.operating_point
    assert policy_for(Settings(calibration=path, min_confidence=0.7), snapshot).threshold == 0.7
    assert abstain_model(path, snapshot.manifest)[1] == ()


def test_the_shipped_calibration_falls_back_for_another_model(snapshot: Snapshot) -> None:
    """This ensures that an index of another model is answered, and that health says that nothing is calibrated."""
    model, warnings = abstain_model(None, snapshot.manifest)

    assert model == AbstainModel()
    assert AnswerPolicy(abstain=model).threshold == 0.5
    assert len(warnings) == 1
    assert "not calibrated" in warnings[0]
    assert "hashing" in warnings[0]


def test_other_settings_are_a_warning(snapshot: Snapshot, tmp_path: Path) -> None:
    """This ensures that a calibration is used, and doubted, when splitting or fusion changed since."""
    path, found = tmp_path / "calibration.json", fitted(snapshot, tmp_path)
    write_calibration(path, found.model_copy(update={"settings_sha256": "0" * 64}))

    _, warnings = abstain_model(path, snapshot.manifest)

    assert ["other settings" in warning for warning in warnings] == [True]


@pytest.mark.parametrize(
    ("fitted_with", "asked_with", "said"),
    [
        ("float32", "float32", ()),
        ("float32", "int8", ("confidence was calibrated with query_encoder float32, it is int8",)),
        ("int8", "float32", ("confidence was calibrated with query_encoder int8, it is float32",)),
        ("int8", "int8", ()),
    ],
)
def test_questions_embedded_otherwise_are_a_warning(
    fitted_with: Precision, asked_with: Precision, said: tuple[str, ...], snapshot: Snapshot, tmp_path: Path
) -> None:
    """This ensures that health says where confidence was fitted on other vectors of questions than are made."""
    path, found = tmp_path / "calibration.json", fitted(snapshot, tmp_path)
    write_calibration(path, found.model_copy(update={"query_encoder": fitted_with}))

    _, warnings = abstain_model(path, snapshot.manifest, precision=asked_with)

    assert tuple(warning.partition(";")[0] for warning in warnings) == said


def test_a_calibration_from_before_there_were_precisions_is_of_float32(snapshot: Snapshot, tmp_path: Path) -> None:
    """This ensures that files of operators stay valid."""
    path, found = tmp_path / "calibration.json", fitted(snapshot, tmp_path)
    path.write_text(json.dumps(found.model_dump(exclude={"query_encoder"})))

    assert read_calibration(path)[0].query_encoder == "float32"


def test_the_shipped_file_is_sound() -> None:
    """This ensures that what comes with Citewell can be read and holds its promise on held-out folds."""
    found, _ = read_calibration(SHIPPED)

    model = to_model(found)

    answered = found.metrics["share_answered/found"]
    assert found.model.name == "all-MiniLM-L6-v2"
    assert answered is not None
    assert answered.value >= ANSWERED_SHARE
    assert model.topic is not None


def change(values: dict[str, Any], *path: str, to: object) -> dict[str, Any]:
    """Change one value of the shipped file."""
    place = values
    for name in path[:-1]:
        place = place[name]
    place[path[-1]] = to
    return values


@pytest.mark.parametrize(
    ("path", "value", "named"),
    [
        (("version",), 99, "version 99"),
        (("version",), None, "no calibration"),
        (("providers",), ["judge/9"], "judge/9"),
        (("operating_point",), 1.5, "operating_point"),
        (("answer", "intercept"), float("nan"), "answer.intercept"),
        (("answer", "weights"), {"best_text": 1.0}, "held_first"),
        (("model", "fingerprint"), "abc", "model.fingerprint"),
        (("extra",), 1, "extra"),
    ],
)
def test_a_damaged_file_is_refused_with_the_field(
    tmp_path: Path, path: tuple[str, ...], value: object, named: str
) -> None:
    """This ensures that no number that can't be meant is ever used."""
    file = tmp_path / "calibration.json"
    file.write_text(json.dumps(change(json.loads(SHIPPED.read_text()), *path, to=value)))

    with pytest.raises(CalibrationInvalid) as caught:
        read_calibration(file)

    assert named in f"{caught.value.where} {caught.value.what}"
    assert "citewell calibrate" in caught.value.fix


@pytest.mark.parametrize("data", [b"", b"[]", b"{", b"\xff\xfe", b"[" * 100_000, b" " * 2_000_000])
def test_what_is_no_calibration_is_refused(tmp_path: Path, data: bytes) -> None:
    """This ensures that any bytes give an error with the file's name, never an exception of a library."""
    file = tmp_path / "calibration.json"
    file.write_bytes(data)

    with pytest.raises(CalibrationInvalid, match=r".") as caught:
        read_calibration(file)

    assert str(file) in caught.value.where


def test_a_missing_file_and_an_unwritable_place_are_named(snapshot: Snapshot, tmp_path: Path) -> None:
    """This ensures that a wrong path is an error of its own."""
    with pytest.raises(CalibrationInvalid, match="No such file"):
        read_calibration(tmp_path / "missing.json")
    with pytest.raises(CalibrationInvalid, match="can't be written"):
        write_calibration(tmp_path / "no folder" / "x.json", fitted(snapshot, tmp_path))


def test_the_settings_fingerprint_follows_what_moves_features(snapshot: Snapshot) -> None:
    """This ensures that another fusion is another fingerprint."""
    from dataclasses import replace

    fusion = AnswerPolicy().fusion

    same = settings_sha256(snapshot.manifest, fusion)

    assert same == settings_sha256(snapshot.manifest, replace(fusion))
    assert same != settings_sha256(snapshot.manifest, replace(fusion, depth=7))


def test_the_command_fits_and_eval_uses_it(
    snapshot: Snapshot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """This ensures the whole way: questions to a file, the file to a setting, the setting to the evaluation."""
    monkeypatch.setattr("service.commands.asking.open_encoder", lambda *_: HashingEmbedder())
    questions, out = tmp_path / "q.jsonl", tmp_path / "own.json"
    write_questions(questions, labelled(snapshot))
    index = ["--index-dir", str(tmp_path / "index")]

    calibrated = run(["calibrate", str(questions), "--out", str(out), *index])
    capsys.readouterr()
    monkeypatch.setenv("CITEWELL_CALIBRATION", str(out))
    evaluated = run(["eval", str(questions), "--floors", str(tmp_path / "f.json"), "--json", *index])

    report = json.loads(capsys.readouterr().out)
    assert (calibrated, evaluated) == (0, 0)
    written, sha256 = read_calibration(out)
    assert written.judged is not None
    assert report["policy"]["min_confidence"] == written.judged.operating_point
    assert report["policy"]["calibration_sha256"] == sha256
    assert "fact/hit@1" in read_floors(tmp_path / "f.json").pins


def test_the_command_refuses_one_class_with_2(
    snapshot: Snapshot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """This ensures that nothing is written where nothing can be fitted."""
    monkeypatch.setattr("service.commands.asking.open_encoder", lambda *_: HashingEmbedder())
    questions, out = tmp_path / "q.jsonl", tmp_path / "own.json"
    write_questions(questions, labelled(snapshot, n_far=0))

    code = run(["calibrate", str(questions), "--out", str(out), "--index-dir", str(tmp_path / "index")])

    assert code == 2
    assert not out.exists()
    assert "0 are not" in capsys.readouterr().err
