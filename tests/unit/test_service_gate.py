"""The quality gate of a build: what it refuses, what it names, and that the old index stays."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from index.build import BuildConfig, build_index
from index.model import EmbeddingInput, PassageVectors
from index.snapshot import open_snapshot
from index.store import IndexDir
from index.testing import HashingEmbedder
from service.cli import run
from service.errors import FloorsInvalid, GateRefused, QuestionsInvalid
from service.evaluation import evaluate_file
from service.floors import Pin, read_floors, to_baseline, write_baseline
from service.gate import dense_config, floors_beside, make_gate
from service.runtime import policy_for
from service.settings import Settings

FACTS = {
    "onset": "Withdrawal from heroin begins between six and twelve hours after somebody last used.",
    "naltrexone": "Naltrexone sits on opioid receptors and keeps other opioids away from them.",
    "methadone": "Methadone clinics hand out a daily drink under the eyes of a nurse.",
    "dopamine": "Dopamine is the messenger that teaches a brain which things are worth repeating.",
    "hepatitis": "Sharing needles spreads hepatitis and other infections of the blood.",
    "therapy": "Talking therapy helps people notice thoughts that come before craving.",
    "family": "Relatives often join meetings of their own to learn how others cope.",
    "sleep": "Insomnia may stay for weeks although the aches are long gone.",
    "exercise": "Swimming and walking lift mood because muscles release endorphins.",
    "ageing": "Older livers clear medicines slowly, so doctors start with smaller amounts.",
}


class Shuffled(HashingEmbedder):
    """The same model by name and fingerprint, whose vectors belong to other passages."""

    def embed(
        self, inputs: Sequence[EmbeddingInput], on_done: Callable[[int], None] | None = None
    ) -> list[PassageVectors]:
        """Return each input's vectors at another input's place."""
        proper = super().embed(inputs, on_done)
        found = []
        for i, own in enumerate(proper):
            other = proper[(i + 1) % len(proper)]
            rows = np.resize(other.evidence, own.evidence.shape)
            found.append(PassageVectors(other.passage, np.ascontiguousarray(rows)))
        return found


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Return the settings of a corpus of ten documents, with a published index, questions and pinned floors."""
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    for name, text in FACTS.items():
        (corpus / f"{name}.md").write_text(f"# {name.title()}\n\n{text}\n", "utf-8")
    rows = [
        {"id": name, "question": text, "kind": "fact", "gold": [{"document": f"{name}.md", "quote": text}]}
        for name, text in FACTS.items()
    ]
    questions(tmp_path).write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    chosen = Settings(corpus=corpus, index_dir=tmp_path / "index")
    build_index(corpus, chosen.index_dir, HashingEmbedder())
    with open_snapshot(IndexDir(chosen.index_dir)) as snapshot:
        report = evaluate_file(questions(tmp_path), snapshot, HashingEmbedder(), policy_for(chosen, snapshot))
    write_baseline(to_baseline(report.to_json()), floors_beside(questions(tmp_path)))
    return chosen


def questions(folder: Path) -> Path:
    """Return where the questions lie."""
    return folder / "questions.jsonl"


def rebuild(settings: Settings, embedder: HashingEmbedder) -> None:
    """Build behind the gate, without what earlier builds left in the cache."""
    (settings.index_dir / "vectors.sqlite").unlink(missing_ok=True)
    gate = make_gate(questions(settings.index_dir.parent), None, settings, lambda _: embedder)
    build_index(settings.corpus, settings.index_dir, embedder, BuildConfig(gate=gate))


def live(settings: Settings) -> str | None:
    """Return the live snapshot's id."""
    return IndexDir(settings.index_dir).current_id()


def test_an_index_that_holds_its_floors_is_published(settings: Settings) -> None:
    """This ensures that the gate lets through what is as good as before, with a document more."""
    before = live(settings)
    (settings.corpus / "new.md").write_text("# New\n\nA clinic opened a branch by the harbour.\n", "utf-8")

    rebuild(settings, HashingEmbedder())

    assert live(settings) != before


def test_the_gate_s_questions_measure_the_dense_index(settings: Settings) -> None:
    """This ensures that real questions are what a quantised index is held against, where there are any."""
    wished = settings.model_copy(update={"dense_index": "IVF2,SQ8"})

    with_questions = dense_config(wished, questions(settings.index_dir.parent))
    report = build_index(settings.corpus, settings.index_dir, HashingEmbedder(), BuildConfig(dense=with_questions))

    assert with_questions.questions == tuple(FACTS.values())
    assert (report.dense.index, report.dense.measured_on) == ("IVF2,SQ8", "questions")
    assert dense_config(wished).questions == ()


def test_a_dropped_document_is_refused_and_named(settings: Settings) -> None:
    """This ensures that an index without a document that the questions need is not published."""
    before = live(settings)
    (settings.corpus / "hepatitis.md").unlink()

    with pytest.raises(GateRefused) as caught:
        rebuild(settings, HashingEmbedder())

    assert live(settings) == before
    assert "labels/problems: 0.000 was pinned, 1.000 measured" in caught.value.what
    assert "hepatitis.md: the snapshot holds no such document" in caught.value.what


def test_shuffled_vectors_are_refused_with_the_measures_that_fell(settings: Settings) -> None:
    """This ensures that an index whose every check sum is right and whose vectors are not is not published."""
    before = live(settings)

    with pytest.raises(GateRefused) as caught:
        rebuild(settings, Shuffled())

    assert live(settings) == before
    assert "overall/hit@1: 1.000 was pinned" in caught.value.what


def test_a_swapped_model_is_refused_with_both_fingerprints(settings: Settings) -> None:
    """This ensures that another model's index is not published behind floors of the first, however well it does."""
    before, other = live(settings), HashingEmbedder(name="otherhash")

    with pytest.raises(GateRefused) as caught:
        rebuild(settings, other)

    assert live(settings) == before
    assert HashingEmbedder().fingerprint[:12] in caught.value.what
    assert f"otherhash ({other.fingerprint[:12]})" in caught.value.what


def test_a_corpus_without_any_labelled_document_is_refused(settings: Settings) -> None:
    """This ensures that an index of something else is a refusal, not a crash of the gate."""
    before = live(settings)
    for name in FACTS:
        (settings.corpus / f"{name}.md").unlink()
    (settings.corpus / "other.md").write_text("# Other\n\nTrains to the coast leave at noon.\n", "utf-8")

    with pytest.raises(GateRefused, match="none of the 10 labels"):
        rebuild(settings, HashingEmbedder())

    assert live(settings) == before


def test_nothing_of_a_refused_index_stays(settings: Settings) -> None:
    """This ensures that a refused snapshot leaves no folder behind, and the old one still answers."""
    (settings.corpus / "hepatitis.md").unlink()

    with pytest.raises(GateRefused):
        rebuild(settings, HashingEmbedder())

    index_dir = IndexDir(settings.index_dir)
    assert [path.name for path in index_dir.snapshots_path.iterdir()] == [live(settings)]
    with open_snapshot(index_dir) as snapshot:
        assert snapshot.manifest.counts.documents == len(FACTS)


def test_a_refusal_holds_no_question(settings: Settings) -> None:
    """This ensures that what fell is named by measure and document, never by a question's text."""
    (settings.corpus / "hepatitis.md").unlink()

    with pytest.raises(GateRefused) as caught:
        rebuild(settings, HashingEmbedder())

    assert "Sharing needles" not in f"{caught.value.what} {caught.value.where} {caught.value.fix}"


def test_the_command_ends_with_1_and_says_what_fell(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """This ensures that a script sees the refusal, and that what is accepted ends with 0."""
    monkeypatch.setattr("service.commands.building.SentenceTransformerEmbedder", lambda _: HashingEmbedder())
    monkeypatch.setattr("service.commands.building.find_model", lambda _: None)
    monkeypatch.setattr("service.gate.open_encoder", lambda *_: HashingEmbedder())
    folder = settings.index_dir.parent
    arguments = ["build", str(settings.corpus), "--index-dir", str(settings.index_dir)]
    arguments += ["--gate", str(questions(folder)), "--gate-floors", str(floors_beside(questions(folder)))]

    accepted = run(arguments)
    (settings.corpus / "sleep.md").unlink()
    before = live(settings)
    refused = run(arguments)

    assert (accepted, refused, live(settings)) == (0, 1, before)
    assert "sleep.md: the snapshot holds no such document" in capsys.readouterr().err


def test_floors_of_other_questions_are_refused_before_building(settings: Settings) -> None:
    """This ensures that numbers pinned on other questions are never compared."""
    path = questions(settings.index_dir.parent)
    path.write_text(path.read_text() + "\n", "utf-8")

    with pytest.raises(FloorsInvalid, match="other questions"):
        make_gate(path, None, settings)


def test_missing_files_are_named_before_building(settings: Settings, tmp_path: Path) -> None:
    """This ensures that a slip in a path costs no build."""
    with pytest.raises(QuestionsInvalid):
        make_gate(tmp_path / "missing.jsonl", floors_beside(questions(tmp_path)), settings)
    with pytest.raises(FloorsInvalid, match="can't be read"):
        make_gate(questions(tmp_path), tmp_path / "missing.json", settings)


def test_floors_may_be_written_by_hand(tmp_path: Path) -> None:
    """This ensures that a file with the measures that matter alone is enough."""
    path = tmp_path / "floors.json"
    path.write_text('{"pins": {"overall/hit@1": {"value": 0.5}}}')

    assert dict(read_floors(path).pins) == {"overall/hit@1": Pin(0.5)}


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("", "not JSON"),
        ("[]", ""),
        ('{"pins": {}}', "pins nothing"),
        ('{"pins": {"a": {"value": "x"}}}', "pins.a.value"),
        ('{"pins": {"a": {"value": NaN}}}', "pins.a.value"),
        ('{"pins": {"a": {"value": 1, "slak": 1}}}', "pins.a"),
        ('{"pinned": {}}', "pin"),
    ],
)
def test_a_malformed_floors_file_names_the_field(tmp_path: Path, text: str, named: str) -> None:
    """This ensures that a floor that can't be meant is never a floor that always holds."""
    path = tmp_path / "floors.json"
    path.write_text(text)

    with pytest.raises(FloorsInvalid) as caught:
        read_floors(path)

    assert named in f"{caught.value.where} {caught.value.what}"
