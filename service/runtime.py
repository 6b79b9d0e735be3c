"""
What a running process answers with: settings, the live snapshot, the question encoder. Knows no route and no page.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

import structlog

from index.encoder import Precision, open_encoder
from index.errors import FilterUnknown, ModelMismatch
from index.live import LiveSnapshot
from index.model import QueryEncoder
from index.model_files import DEFAULT_MODEL, find_model
from index.snapshot import Snapshot
from ingest.errors import AppError
from service.answer import Answer, Notice, Question
from service.answering import AnswerPolicy, answer_question, answer_without_index, parse_question
from service.calibration import abstain_model
from service.engines import index_dir_for
from service.gaps import GapCounts
from service.guard import token_warnings
from service.health_schemas import EngineHealth, Health, HealthJudge, HealthSnapshot, ReloadError
from service.judging import Judging, open_judging
from service.language import language_warnings, parse_languages
from service.lexicon import open_lexicon
from service.metrics import Metrics
from service.notices import NoticeBoard, notices_only, open_notices
from service.operator_files import OperatorFiles
from service.phases import Phases
from service.problems import frames_of, problem_from
from service.schemas import AskRequest
from service.settings import Settings

# From a model's fingerprint to its encoder; raises ModelUnusable.
EncoderProvider = Callable[[str], QueryEncoder]


class EncoderShelf:
    """An EncoderProvider that opens each encoder of an index folder once; safe to use from many threads."""

    def __init__(self, index_dir: Path, precision: Precision = "float32") -> None:
        self._index_dir = index_dir
        self._precision = precision
        self._lock = threading.Lock()
        self._opened: dict[str, QueryEncoder] = {}

    def __call__(self, fingerprint: str) -> QueryEncoder:
        """
        Return the encoder of one model.

        Raises:
            ModelUnusable: it was not exported, or its files are damaged.
        """
        with self._lock:
            if fingerprint not in self._opened:
                opened = open_encoder(self._index_dir, fingerprint, self._precision)
                # One snapshot being served and one being warmed never need more than two.
                self._opened = dict([*self._opened.items(), (fingerprint, opened)][-2:])
            return self._opened[fingerprint]


def open_live(
    settings: Settings, encoder_provider: EncoderProvider, files: OperatorFiles | None = None
) -> LiveSnapshot:
    """
    Open the index folder for serving; each new snapshot answers one question before it is switched to.

    A model that the operator chose must be the one that the snapshot was built with. The default name stands for
    whatever the snapshot has, so that the model's files are not needed to answer.

    Raises:
        ModelUnusable: the chosen model is not there.
    """

    def warm(snapshot: Snapshot) -> None:
        encoder = encoder_provider(snapshot.manifest.model.fingerprint)
        answer_question(Question(text="warm up"), snapshot, encoder, policy_for(settings, snapshot, files))

    return LiveSnapshot(index_dir_for(settings), fingerprint=_chosen_fingerprint(settings), warm=warm)


def policy_for(settings: Settings, snapshot: Snapshot, files: OperatorFiles | None = None) -> AnswerPolicy:
    """
    Return how questions to a snapshot are answered: the operator's choices and the calibration that fits its model.

    Args:
        files: what a serving process has read and keeps up to date; None reads lexicon and calibration once.

    Raises:
        CalibrationInvalid: the calibration that the operator names is not valid, or belongs to another model.
        LexiconInvalid: the lexicon is not valid.
    """
    loaded = files.calibration.value if files and files.calibration else None
    judging, _ = judging_for(settings)
    model, _ = abstain_model(
        settings.calibration, snapshot.manifest, loaded=loaded, judge_sha256=judging.sha256 if judging else ""
    )
    lexicon = files.lexicon.value if files else open_lexicon(settings.lexicon)[0]
    return AnswerPolicy(
        min_confidence=settings.min_confidence,
        abstain=model,
        lexicon=lexicon,
        languages=parse_languages(settings.model_languages),
        preferred=settings.prefer_source_types,
        judging=judging,
    )


def judging_for(settings: Settings) -> tuple[Judging | None, tuple[str, ...]]:
    """Return the judge of this process, opened once, and why there is none."""
    return open_judging(settings.judge, settings.judge_budget_ms / 1000)


def board_for(settings: Settings) -> NoticeBoard | None:
    """
    Return the operator's crisis notices, None where there is no such file.

    Raises:
        NoticesInvalid: the file is not valid.
    """
    return open_notices(settings.notices, settings.country, settings.notice_language)[0]


def check_model(settings: Settings, snapshot: Snapshot) -> None:
    """
    Hold the model that the operator chose against the one that a snapshot was built with.

    Raises:
        ModelMismatch: they differ. ModelUnusable: the chosen model is not there.
    """
    built_with, chosen = snapshot.manifest.model, _chosen_fingerprint(settings)
    if chosen not in (None, built_with.fingerprint):
        raise ModelMismatch(
            f"the index was built with model {built_with.name} ({built_with.fingerprint[:12]}), the setting model is "
            f"{settings.model} ({str(chosen)[:12]})",
            where=snapshot.id,
            fix="build again with this model (citewell build), or set the model back",
        )


def _chosen_fingerprint(settings: Settings) -> str | None:
    return None if settings.model == DEFAULT_MODEL else find_model(settings.model).fingerprint


@dataclass(frozen=True, slots=True)
class Service:
    """
    Settings, index and encoder of one process, and the few things that every route does with them.

    `draining` is set when the process is to end. `forged` is set when forwarding headers came from an address that is
    not in `trusted_proxies`. `metrics` is None where the operator wants none.
    """

    settings: Settings
    live: LiveSnapshot
    encoder_provider: EncoderProvider
    files: OperatorFiles
    metrics: Metrics | None = None
    gaps: GapCounts | None = None
    version: str = field(default_factory=lambda: version("citewell"))
    draining: threading.Event = field(default_factory=threading.Event)
    forged: threading.Event = field(default_factory=threading.Event)

    def check_question(self, request: AskRequest) -> Question:
        """
        Return what somebody asks, held against the operator's bounds.

        Raises:
            QuestionEmpty, QuestionTooLong, QuestionUnreadable, RequestInvalid
        """
        phases = Phases()
        question = parse_question(
            request.question,
            top_k=request.top_k,
            filters=request.filters.to_filters(),
            explain=request.explain,
            max_chars=self.settings.max_question_chars,
            max_top_k=self.settings.max_top_k,
        )
        phases.done("parse")
        if self.metrics:
            self.metrics.timed(phases.seconds)
        return question

    def ask(self, question: Question) -> Answer:
        """
        Answer a question from the live snapshot; where that fails, with the notices that it calls for, if any.

        Raises:
            NoSnapshot, ModelUnusable, ModelMismatch, FilterUnknown, CitationMismatch: and no notice is due.
        """
        phases = Phases()
        answer = self._answer(question, phases)
        if self.metrics:
            seconds = {**phases.seconds, "total": sum(phases.seconds.values())}
            outcome = "answered" if answer.answered else "abstained"
            self.metrics.answered(outcome, answer.reason or "", (notice.id for notice in answer.notices), seconds)
        return answer

    def _answer(self, question: Question, phases: Phases) -> Answer:
        board = self.files.notices.value
        try:
            with self.snapshot() as snapshot:
                encoder = self.encoder_provider(snapshot.manifest.model.fingerprint)
                policy = policy_for(self.settings, snapshot, self.files)
                answer = answer_question(question, snapshot, encoder, policy, notices=board, phases=phases)
                # An answer that was begun before a switch counts nowhere: its clusters are gone.
                if self.gaps is not None and snapshot.id == self.live.snapshot_id:
                    self.gaps.record(answer.reason, question.text, snapshot, encoder)
                return answer
        except Exception as error:
            # Whatever failed: somebody in danger gets the notice, everybody else the error.
            notices = notices_only(question.text, board, None)
            if not notices:
                raise
            log = structlog.get_logger("citewell.ask")
            log.error("answered_with_notices_alone", error=type(error).__name__, frames=frames_of(error))
            return answer_without_index(
                notices, "filters_match_nothing" if isinstance(error, FilterUnknown) else "no_index"
            )

    def notices_for_refused(self, text: str) -> tuple[Notice, ...]:
        """
        Return the notices for what somebody asks who gets an error; by the text alone, as that takes 2 ms at most.

        As much of it is looked at as may be asked. Never raises.
        """
        if not text:
            return ()
        notices = notices_only(text[: self.settings.max_question_chars], self.files.notices.value, None)
        if self.metrics:
            self.metrics.noticed(notice.id for notice in notices)
        return notices

    def count_error(self, status: int, code: str) -> None:
        """Count an error that is sent."""
        if self.metrics:
            self.metrics.failed(status, code)

    @contextmanager
    def snapshot(self) -> Iterator[Snapshot]:
        """
        Hold one snapshot for the length of a request.

        Raises:
            NoSnapshot: nothing was built; or the error that keeps what was built from being opened.
        """
        with self.live.use() as snapshot:
            yield snapshot

    def health(self) -> Health:
        """Return whether questions can be answered, from what, and what is wrong."""
        last_error = self.live.last_error
        problem = problem_from(last_error) if last_error else None
        try:
            with self.snapshot() as snapshot:
                manifest = snapshot.manifest
                current = HealthSnapshot(
                    id=snapshot.id,
                    built_at=manifest.created_at,
                    documents=manifest.counts.documents,
                    passages=manifest.counts.passages,
                    model=manifest.model.name,
                    dense=manifest.dense,
                )
                warnings = [] if problem is None else ["a newer snapshot could not be opened; the older one is served"]
                loaded = self.files.calibration.value if self.files.calibration else None
                judging, without = judging_for(self.settings)
                sha256 = judging.sha256 if judging else ""
                warnings += [*without, *(judging.warnings() if judging else ())]
                model, unfit = abstain_model(
                    self.settings.calibration,
                    manifest,
                    loaded=loaded,
                    precision=self.settings.query_encoder,
                    judge_sha256=sha256,
                )
                warnings += unfit
                judge = HealthJudge(
                    in_use=bool(model.judge_sha256), sha256=sha256, missed=judging.n_missed if judging else 0
                )
                warnings += language_warnings(snapshot, parse_languages(self.settings.model_languages))
        except AppError as error:
            shown = problem_from(error)
            current, judge, warnings = None, None, [f"{shown.detail} ({shown.fix})"]
        engine = EngineHealth(name=self.live.engine.name, reachable=self.live.engine.is_reachable)
        if current is not None and not engine.reachable:
            # Still ready: notices and documents are served, and a blip would take them away at every process at once.
            warnings.append("the engine that holds the passages does not answer: questions get an error until it does")
        warnings += self.files.warnings()
        warnings += token_warnings(self.settings)
        if self.draining.is_set():
            warnings.append("this process is about to end")
        if self.forged.is_set():
            warnings.append(
                "forwarding headers came from an address that is not in trusted_proxies and were ignored; if it is "
                "your proxy, add it: until then all its clients share one rate limit"
            )
        return Health(
            live=True,
            ready=current is not None and not self.draining.is_set(),
            version=self.version,
            snapshot=current,
            engine=engine,
            judge=judge,
            warnings=tuple(warnings),
            last_reload_error=None
            if problem is None
            else ReloadError(code=problem.code, detail=problem.detail, fix=problem.fix),
        )
