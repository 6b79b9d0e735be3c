"""
Fitting a calibration: labelled questions asked of an index, features noted, weights fitted, held-out folds measured.

Every question goes through `answer_question`, as in serving, with a recorder in the place of the deciding model.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
import numpy.typing as npt

from index.manifest import Manifest
from index.model import QueryEncoder
from index.snapshot import Snapshot
from service.abstain import Decision
from service.answering import AnswerPolicy, answer_question, parse_question
from service.calibration import (
    CALIBRATION_VERSION,
    CalibrationFile,
    DataPart,
    EstimatePart,
    FitPart,
    JudgedPart,
    LogisticPart,
    ModelPart,
    settings_sha256,
)
from service.decision_features import (
    PASSAGE_FEATURES,
    FeatureProvider,
    JudgeFeatures,
    Look,
    RetrievalFeatures,
    passage_features,
)
from service.errors import CalibrationInvalid, RequestFault
from service.evaluation import is_relevant, labelled_spans
from service.judging import Judging
from service.logistic import Logistic, cross_validated, fit_logistic, fit_signed, stratified_folds
from service.measures import Estimate, auroc_estimate, mean_estimate
from service.questions import UNANSWERABLE_FAR, UNANSWERABLE_NEAR, LabelledQuestion, QuestionFile
from service.reliability import calibration_error_estimate

Side = Literal["answerable", "near", "far"]
Progress = Callable[[int, int], None]

# Of 0.3, 1, 3, 10 and 30 the held-out log-loss differs by 0.002 on the questions of three libraries.
PENALTY = 3.0
N_FOLDS = 10
# The operating point answers this share of the questions that a first passage answers, on held-out folds, every
# library counting alike. A question whose answer was not found is better not answered, and asks for no lower point.
ANSWERED_SHARE = 0.9
_FEWEST = 5
_FIX = "give questions that the library answers (with labels) and questions of the kinds unanswerable_near and _far"


@dataclass(frozen=True, slots=True)
class Example:
    """
    One question's features and label; `library` says which index it was asked of.

    `is_found`: one of its labels lies in one of the first passages.

    `judged` and `passages` are there where a judge was asked: its features of the question, and PASSAGE_FEATURES of
    each passage that it read with whether a label lies there.
    """

    library: str
    side: Side
    features: tuple[float, ...]
    is_found: bool = True
    judged: tuple[float, ...] = ()
    passages: tuple[tuple[tuple[float, ...], bool], ...] = ()


@dataclass(frozen=True, slots=True)
class Examples:
    """The examples of some files asked of one index, and what the calibration file says of them."""

    rows: tuple[Example, ...]
    data: tuple[DataPart, ...]
    providers: tuple[FeatureProvider, ...]
    model: ModelPart
    settings_sha256: str
    judge_sha256: str = ""


@dataclass(slots=True)
class _Recorder:
    """Stands in for the deciding model and notes what it would have looked at."""

    judge_sha256: str
    operating_point: float = 0.0
    calibration_sha256: str = ""
    look: Look | None = field(default=None, init=False)

    def decide(self, look: Look) -> Decision:
        """Note it and answer."""
        self.look = look if look.retrieval.hits else None
        return Decision(1.0, "off_topic")


def side_of(question: LabelledQuestion) -> Side | None:
    """Return what a question counts as, None where its kind says nothing about being answerable."""
    if question.gold or question.also:
        return "answerable"
    sides: dict[str, Side] = {UNANSWERABLE_NEAR: "near", UNANSWERABLE_FAR: "far"}
    return sides.get(question.kind)


def check_labels(files: Sequence[QuestionFile]) -> None:
    """
    Refuse questions that say two things.

    Raises:
        CalibrationInvalid: the same words are labelled answerable once and unanswerable once; names the ids alone.
    """
    first: dict[str, tuple[str, bool]] = {}
    for file in files:
        for question in file.questions:
            side = side_of(question)
            if side is None:
                continue
            place, is_answerable = f"{file.name}: {question.id}", side == "answerable"
            words = " ".join(question.text.casefold().split())
            earlier, was_answerable = first.setdefault(words, (place, is_answerable))
            if was_answerable != is_answerable:
                raise CalibrationInvalid(
                    f"the same question is labelled answerable and unanswerable ({earlier} and {place})",
                    where=place,
                    fix="decide for one of the two labels",
                )


def record_examples(
    files: Sequence[QuestionFile],
    snapshot: Snapshot,
    encoder: QueryEncoder,
    policy: AnswerPolicy = AnswerPolicy(),
    on_progress: Progress | None = None,
    *,
    providers: tuple[FeatureProvider, ...] = (RetrievalFeatures(),),
    library: str = "",
) -> Examples:
    """
    Ask the questions of one index and note features and labels.

    Args:
        library: a name for the index; examples of several indexes are put together by `merge`.

    Raises:
        CalibrationInvalid: contradictory labels, or a question that can't be asked.
    """
    check_labels(files)
    # Whatever the time that it takes here: a fit with a judge needs its word on every question.
    judging = None if policy.judging is None else Judging(policy.judging.judge, float("inf"))
    recorder = _Recorder(judging.sha256 if judging else "")
    recording = replace(policy, min_confidence=0.0, abstain=recorder, judging=judging)
    rows: list[Example] = []
    data: list[DataPart] = []
    n_done, n_all = 0, sum(len(file.questions) for file in files)
    for file in files:
        counts: Counter[str] = Counter()
        for question in file.questions:
            n_done += 1
            side = side_of(question)
            counts[side or "skipped"] += 1
            if side is None:
                continue
            try:
                answer_question(parse_question(question.text, top_k=1), snapshot, encoder, recording)
            except RequestFault as error:
                where = f"{file.name}, line {question.line}, field question"
                raise CalibrationInvalid(error.what, where=where, fix=error.fix) from error
            if recorder.look is not None:
                name = library or snapshot.manifest.corpus_sha256
                rows.append(
                    _example(name, side, recorder.look, providers, labelled_spans(question, snapshot.catalogue))
                )
            if on_progress is not None:
                on_progress(n_done, n_all)
        data.append(_data_part(file, counts, snapshot.manifest))
    model = ModelPart(name=snapshot.manifest.model.name, fingerprint=snapshot.manifest.model.fingerprint)
    settings = settings_sha256(snapshot.manifest, policy.fusion)
    return Examples(tuple(rows), tuple(data), providers, model, settings, recorder.judge_sha256)


def _example(
    library: str,
    side: Side,
    look: Look,
    providers: Sequence[FeatureProvider],
    spans: Mapping[str, Sequence[tuple[int, int]]],
) -> Example:
    features = tuple(value for provider in providers for value in provider.features(look))
    labels = [is_relevant((p.start, p.end), spans.get(p.document_id, ())) for p in look.passages]
    if not look.log_odds:
        return Example(library, side, features, any(labels))
    passages = tuple(zip(passage_features(look), labels, strict=True))
    return Example(library, side, features, any(labels), JudgeFeatures().features(look), passages)


def merge(parts: Sequence[Examples]) -> Examples:
    """
    Put the examples of several indexes together; the first one's settings stand for all.

    Raises:
        CalibrationInvalid: the indexes were built with different models; both are named.
    """
    first = parts[0]
    for other in parts[1:]:
        if other.model != first.model:
            raise CalibrationInvalid(
                f"one index was built with model {first.model.name} ({first.model.fingerprint[:12]}), another with "
                f"{other.model.name} ({other.model.fingerprint[:12]})",
                where="indexes",
                fix="calibrate each model apart",
            )
    rows = tuple(row for part in parts for row in part.rows)
    return replace(first, rows=rows, data=tuple(entry for part in parts for entry in part.data))


def fit_calibration(examples: Examples) -> CalibrationFile:
    """
    Fit without the judge and, where one was asked, with it; measure on held-out folds, choose the operating points.

    Within a library every question counts alike; every library counts alike, whatever its number of questions.

    Raises:
        CalibrationInvalid: one class only, or fewer than five of one.
    """
    fit, n_folds = _fit(examples)
    return CalibrationFile(
        version=CALIBRATION_VERSION,
        **dict(fit),
        model=examples.model,
        settings_sha256=examples.settings_sha256,
        data=list(examples.data),
        penalty=PENALTY,
        n_folds=n_folds,
        judged=_fit_judged(examples) if examples.judge_sha256 else None,
    )


def _fit_judged(examples: Examples) -> JudgedPart:
    rows = tuple(replace(row, features=(*row.features, *row.judged)) for row in examples.rows)
    fit, _ = _fit(replace(examples, rows=rows, providers=(*examples.providers, JudgeFeatures())))
    passages = [(row.library, *passage) for row in rows for passage in row.passages]
    counts = Counter(library for library, _, _ in passages)
    model = fit_logistic(
        np.array([features for _, features, _ in passages], dtype=np.float64),
        np.array([is_relevant for _, _, is_relevant in passages]),
        np.array([1 / counts[library] for library, _, _ in passages]),
        PENALTY,
    )
    passage = _rounded(model, PASSAGE_FEATURES)
    return JudgedPart(**dict(fit), judge_sha256=examples.judge_sha256, passage=passage)


def _rounded(model: Logistic, names: Sequence[str]) -> LogisticPart:
    weights = {name: round(value, 6) for name, value in zip(names, model.weights, strict=True)}
    return LogisticPart(intercept=round(model.intercept, 6), weights=weights)


def _fit(examples: Examples) -> tuple[FitPart, int]:
    """Return a fit on the examples' features, and the number of folds that it was measured on."""
    rows = examples.rows
    sides = Counter(row.side for row in rows)
    n_answerable, n_unanswerable = sides["answerable"], sides["near"] + sides["far"]
    if min(n_answerable, n_unanswerable) < _FEWEST:
        raise CalibrationInvalid(
            f"{n_answerable} questions are answerable and {n_unanswerable} are not; it takes {_FEWEST} of each",
            where=", ".join(part.file for part in examples.data),
            fix=_FIX,
        )
    features = np.array([row.features for row in rows], dtype=np.float64)
    is_answerable = np.array([row.side == "answerable" for row in rows])
    weights = _library_weights(rows)
    signs = [sign for provider in examples.providers for sign in provider.signs.values()]
    names = [name for provider in examples.providers for name in provider.signs]
    n_folds = min(N_FOLDS, n_answerable, n_unanswerable)
    folds = stratified_folds([f"{row.library}/{row.side}" for row in rows], n_folds)
    held_out = cross_validated(features, is_answerable, folds, weights, PENALTY, signs)
    answer = fit_signed(features, is_answerable, weights, PENALTY, signs)
    in_use = answer.probabilities(features)
    topic, reasons = None, {}
    if min(sides["far"], len(rows) - sides["far"]) >= _FEWEST:
        is_on_topic = np.array([row.side != "far" for row in rows])
        # Both sides count alike: a library asked about other subjects must say so, however few such questions are here.
        weights = weights / np.where(is_on_topic, weights[is_on_topic].sum(), weights[~is_on_topic].sum())
        topic = fit_signed(features, is_on_topic, weights, PENALTY, signs)
        folds = stratified_folds([f"{row.library}/{row.side}" for row in rows], min(n_folds, sides["far"]))
        on_topic = cross_validated(features, is_on_topic, folds, weights, PENALTY, signs)
        reasons = _reasons(rows, on_topic)
        # As in use: nothing is likelier to be answered than to be spoken of.
        held_out = np.minimum(held_out, on_topic)
        in_use = np.minimum(in_use, topic.probabilities(features))
    # The model in use is fitted on all folds and differs a little from theirs: the promise is kept by both.
    point = min(operating_point(rows, p) for p in (held_out, in_use))
    metrics = _metrics(rows, held_out, point) | reasons
    fit = FitPart(
        providers=[provider.name for provider in examples.providers],
        answer=_rounded(answer, names),
        topic=None if topic is None else _rounded(topic, names),
        operating_point=point,
        metrics=metrics,
    )
    return fit, n_folds


def operating_point(rows: Sequence[Example], held_out: npt.NDArray[np.float64]) -> float:
    """
    Return the largest confidence, in hundredths, from which on ANSWERED_SHARE of what was found is answered.

    More digits would follow the one question that it falls on: a change of one feature moved them so far that three
    answerable questions more were turned away. Where no label lies in any first passage, all answerable ones count.
    """
    found = [row.side == "answerable" and row.is_found for row in rows]
    if not any(found):
        found = [row.side == "answerable" for row in rows]
    counts = Counter(row.library for row, is_found in zip(rows, found, strict=True) if is_found)
    weighed = sorted(
        ((p, 1 / counts[row.library]) for row, p, is_found in zip(rows, held_out, found, strict=True) if is_found),
        reverse=True,
    )
    share = np.cumsum([weight for _, weight in weighed]) / len(counts)
    last = int(np.searchsorted(share, ANSWERED_SHARE - 1e-9))
    # 0.57 * 100 is a little less than 57 in floats.
    return math.floor(float(weighed[last][0]) * 100 + 1e-9) / 100


def _library_weights(rows: Sequence[Example]) -> npt.NDArray[np.float64]:
    counts = Counter(row.library for row in rows)
    return np.array([1 / counts[row.library] for row in rows], dtype=np.float64)


def _metrics(
    rows: Sequence[Example], held_out: npt.NDArray[np.float64], point: float
) -> dict[str, EstimatePart | None]:
    libraries = list(dict.fromkeys(row.library for row in rows))
    found = _measures(rows, held_out, point)
    if len(libraries) > 1:
        for library in libraries:
            inside = [i for i, row in enumerate(rows) if row.library == library]
            apart = _measures([rows[i] for i in inside], held_out[inside], point)
            found |= {f"{library}/{name}": estimate for name, estimate in apart.items()}
    return {name: None if e is None else _part(e) for name, e in found.items()}


def _measures(rows: Sequence[Example], held_out: npt.NDArray[np.float64], point: float) -> dict[str, Estimate | None]:
    by_side: dict[str, list[float]] = {"answerable": [], "near": [], "far": []}
    for row, probability in zip(rows, held_out, strict=True):
        by_side[row.side].append(round(float(probability), 4))
    answerable = by_side["answerable"]
    found = {f"auroc/{side}": auroc_estimate(answerable, by_side[side]) for side in ("near", "far")}
    by_side["found"] = [
        round(float(p), 4) for row, p in zip(rows, held_out, strict=True) if row.side == "answerable" and row.is_found
    ]
    for side, probabilities in by_side.items():
        found[f"share_answered/{side}"] = mean_estimate([float(p >= point) for p in probabilities])
    is_true = [row.side == "answerable" for row in rows]
    found["calibration_error"] = calibration_error_estimate(held_out.tolist(), is_true)
    return found


def _reasons(rows: Sequence[Example], on_topic: npt.NDArray[np.float64]) -> dict[str, EstimatePart | None]:
    """Return how often each side of the unanswerable, and the answerable, would be called off topic."""
    found: dict[str, EstimatePart | None] = {}
    for side in ("answerable", "near", "far"):
        said = [float(p < 0.5) for row, p in zip(rows, on_topic, strict=True) if row.side == side]
        estimate = mean_estimate(said)
        found[f"called_off_topic/{side}"] = None if estimate is None else _part(estimate)
    return found


def _part(e: Estimate) -> EstimatePart:
    return EstimatePart(value=round(e.value, 4), low=round(e.low, 4), high=round(e.high, 4), n=e.n)


def _data_part(file: QuestionFile, counts: Counter[str], manifest: Manifest) -> DataPart:
    return DataPart(
        file=file.name,
        sha256=file.sha256,
        corpus_sha256=manifest.corpus_sha256,
        n_answerable=counts["answerable"],
        n_near=counts["near"],
        n_far=counts["far"],
        n_skipped=counts["skipped"],
    )
