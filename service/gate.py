"""
The quality gate of a build: the staged index answers labelled questions, and is refused where it is below its floors.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from index.build import Gate
from index.dense_config import EXACT, DenseConfig
from index.encoder import open_encoder
from index.engine import MILVUS
from index.snapshot import Snapshot
from service.errors import FloorsInvalid, GateRefused, QuestionsInvalid
from service.evaluation import evaluate_file
from service.floors import Baseline, find_regressions, read_floors, to_baseline
from service.questions import QuestionFile, read_questions
from service.runtime import EncoderProvider, policy_for
from service.settings import Settings

_FIX = (
    "the old index is still served; mend the corpus or the settings, or, if this is how it should be, pin it anew: "
    "build without --gate, then citewell eval QUESTIONS.jsonl --floors FILE.json"
)
_SHOWN = 12


def floors_beside(questions: Path) -> Path:
    """Return where the floors of a file of questions lie unless named: `q.jsonl` has `q.floors.json`."""
    return questions.with_suffix(".floors.json")


def make_gate(
    questions: Path, floors: Path | None, settings: Settings, encoder_provider: EncoderProvider | None = None
) -> Gate:
    """
    Return what a build asks before it publishes. Both files are read at once, before anything is built.

    Raises:
        QuestionsInvalid, FloorsInvalid: a file is malformed, or the floors were pinned on other questions.
    """
    path = floors or floors_beside(questions)
    file = read_questions(questions)
    pinned = read_floors(path)
    if pinned.questions_sha256 not in ("", file.sha256):
        raise FloorsInvalid(
            f"was pinned on other questions ({pinned.questions_sha256[:12]}, {questions} is {file.sha256[:12]})",
            where=str(path),
            fix="pin them anew: citewell eval QUESTIONS.jsonl --floors FILE.json",
        )
    provide = encoder_provider or (
        lambda fingerprint: open_encoder(settings.index_dir, fingerprint, settings.query_encoder)
    )

    def gate(snapshot: Snapshot) -> None:
        _check(snapshot, questions, file, pinned, settings, provide)

    return gate


def dense_config(settings: Settings, questions: Path | None = None) -> DenseConfig:
    """
    Return how a build chooses its dense index, measured with the gate's questions where there are any.

    Raises:
        QuestionsInvalid: the file is malformed.
    """
    texts = () if questions is None else tuple(item.text for item in read_questions(questions).questions)
    # Milvus is told by milvus_index; what is made for it here is thrown away.
    return DenseConfig(index=EXACT if settings.engine == MILVUS else settings.dense_index, questions=texts)


def _check(
    snapshot: Snapshot,
    path: Path,
    file: QuestionFile,
    pinned: Baseline,
    settings: Settings,
    encoder_provider: EncoderProvider,
) -> None:
    model = snapshot.manifest.model
    fell: list[str] = []
    if pinned.model_fingerprint not in ("", model.fingerprint):
        # Said before the measures: they fall because of it, or hold by luck.
        fell.append(
            f"model: {pinned.model_fingerprint[:12]} was pinned, this index has {model.name} ({model.fingerprint[:12]})"
        )
    try:
        encoder = encoder_provider(model.fingerprint)
        report = evaluate_file(path, snapshot, encoder, policy_for(settings, snapshot)).to_json()
    except QuestionsInvalid as error:
        # The file was read before: what is wrong now is that no label fits this index.
        raise _refused([*fell, error.what], file) from error
    fell += find_regressions(pinned, to_baseline(report))
    if fell:
        raise _refused([*fell, *_lost_labels(report)], file)


def _lost_labels(report: Mapping[str, Any]) -> list[str]:
    """Return what became of labels, once for each document and reason."""
    problems = [(str(p["document_id"]), str(p["reason"])) for p in report["labels"]["problems"]]
    return [f"{document_id}: {reason}" for document_id, reason in dict.fromkeys(problems)]


def _refused(fell: list[str], file: QuestionFile) -> GateRefused:
    more = f"; and {len(fell) - _SHOWN} more" if len(fell) > _SHOWN else ""
    return GateRefused(f"the new index is refused: {'; '.join(fell[:_SHOWN])}{more}", where=file.name, fix=_FIX)
