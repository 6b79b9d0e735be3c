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

from index.encoder import open_encoder
from index.errors import FilterUnknown, ModelMismatch
from index.live import LiveSnapshot
from index.model import QueryEncoder
from index.model_files import DEFAULT_MODEL, find_model
from index.snapshot import Snapshot
from index.store import IndexDir
from ingest.errors import AppError
from service.answer import Answer, Question
from service.answering import AnswerPolicy, answer_question, answer_without_index, parse_question
from service.calibration import abstain_model
from service.guard import token_warnings
from service.lexicon import open_lexicon
from service.notices import NoticeBoard, notices_only, open_notices
from service.problems import frames_of, problem_from
from service.schemas import AskRequest, Health, HealthSnapshot, ReloadError
from service.settings import Settings

# From a model's fingerprint to its encoder; raises ModelUnusable.
EncoderProvider = Callable[[str], QueryEncoder]


class EncoderShelf:
    """An EncoderProvider that opens each encoder of an index folder once; safe to use from many threads."""

    def __init__(self, index_dir: Path) -> None:
        self._index_dir = index_dir
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
                opened = open_encoder(self._index_dir, fingerprint)
                # One snapshot being served and one being warmed never need more than two.
                self._opened = dict([*self._opened.items(), (fingerprint, opened)][-2:])
            return self._opened[fingerprint]


def open_live(settings: Settings, encoder_provider: EncoderProvider) -> LiveSnapshot:
    """
    Open the index folder for serving; each new snapshot answers one question before it is switched to.

    A model that the operator chose must be the one that the snapshot was built with. The default name stands for
    whatever the snapshot has, so that the model's files are not needed to answer.

    Raises:
        ModelUnusable: the chosen model is not there.
    """

    def warm(snapshot: Snapshot) -> None:
        encoder = encoder_provider(snapshot.manifest.model.fingerprint)
        answer_question(Question(text="warm up"), snapshot, encoder, policy_for(settings, snapshot))

    return LiveSnapshot(IndexDir(settings.index_dir), fingerprint=_chosen_fingerprint(settings), warm=warm)


def policy_for(settings: Settings, snapshot: Snapshot) -> AnswerPolicy:
    """
    Return how questions to a snapshot are answered: the operator's choices and the calibration that fits its model.

    Raises:
        CalibrationInvalid: the calibration that the operator names is not valid, or belongs to another model.
        LexiconInvalid: the lexicon is not valid.
    """
    model, _ = abstain_model(settings.calibration, snapshot.manifest)
    lexicon, _ = open_lexicon(settings.lexicon)
    return AnswerPolicy(min_confidence=settings.min_confidence, abstain=model, lexicon=lexicon)


def board_for(settings: Settings) -> NoticeBoard | None:
    """
    Return the operator's crisis notices, None where there is no such file.

    Raises:
        NoticesInvalid: the file is not valid.
    """
    return open_notices(settings.notices, settings.country, settings.notice_language)[0]


def notice_warnings(settings: Settings) -> tuple[str, ...]:
    """Return what an operator should know about the notices: none at all, or what must be verified again."""
    board, warnings = open_notices(settings.notices, settings.country, settings.notice_language)
    return warnings if board is None else board.warnings()


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
    """Settings, index and encoder of one process, and the few things that every route does with them."""

    settings: Settings
    live: LiveSnapshot
    encoder_provider: EncoderProvider
    version: str = field(default_factory=lambda: version("citewell"))

    def check_question(self, request: AskRequest) -> Question:
        """
        Return what somebody asks, held against the operator's bounds.

        Raises:
            QuestionEmpty, QuestionTooLong, QuestionUnreadable, RequestInvalid
        """
        return parse_question(
            request.question,
            top_k=request.top_k,
            filters=request.filters.to_filters(),
            explain=request.explain,
            max_chars=self.settings.max_question_chars,
            max_top_k=self.settings.max_top_k,
        )

    def ask(self, question: Question) -> Answer:
        """
        Answer a question from the live snapshot; where that fails, with the notices that it calls for, if any.

        Raises:
            NoSnapshot, ModelUnusable, ModelMismatch, FilterUnknown, CitationMismatch: and no notice is due.
        """
        board = board_for(self.settings)
        try:
            with self.snapshot() as snapshot:
                encoder = self.encoder_provider(snapshot.manifest.model.fingerprint)
                policy = policy_for(self.settings, snapshot)
                return answer_question(question, snapshot, encoder, policy, notices=board)
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
                )
                warnings = [] if problem is None else ["a newer snapshot could not be opened; the older one is served"]
                warnings += abstain_model(self.settings.calibration, manifest)[1]
                warnings += open_lexicon(self.settings.lexicon)[1]
        except AppError as error:
            shown = problem_from(error)
            current, warnings = None, [f"{shown.detail} ({shown.fix})"]
        warnings += notice_warnings(self.settings)
        warnings += token_warnings(self.settings)
        return Health(
            live=True,
            ready=current is not None,
            version=self.version,
            snapshot=current,
            warnings=tuple(warnings),
            last_reload_error=None
            if problem is None
            else ReloadError(code=problem.code, detail=problem.detail, fix=problem.fix),
        )


class Refresher:
    """Looks for a newly published snapshot every `interval_s` seconds, in a thread of its own."""

    def __init__(self, live: LiveSnapshot, interval_s: float) -> None:
        self._live = live
        self._interval_s = interval_s
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="refresh", daemon=True)

    def start(self) -> None:
        """Begin looking."""
        self._thread.start()

    def stop(self) -> None:
        """End; returns once the thread has ended, or after five seconds if a snapshot is just being opened."""
        self._stopping.set()
        self._thread.join(timeout=5.0)

    def _run(self) -> None:
        while not self._stopping.wait(self._interval_s):
            self.look()

    def look(self) -> None:
        """Take a new snapshot if there is one, and log what happened."""
        log = structlog.get_logger("citewell.refresh")
        before = self._live.last_error
        try:
            if self._live.refresh():
                log.info("snapshot_opened", snapshot=self._live.snapshot_id)
        except Exception as error:  # noqa: BLE001  the thread must outlive whatever goes wrong once
            log.error("snapshot_failed", error=type(error).__name__, frames=frames_of(error))
            return
        failure = self._live.last_error
        # The same failure is met again at every look; it is said once.
        if failure is not None and str(failure) != str(before):
            log.error("snapshot_refused", code=failure.code, what=failure.what, where=failure.where, fix=failure.fix)
