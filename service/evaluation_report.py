"""
What an evaluation found: from one outcome per question to measures, JSON and table rows. Asks nothing, opens nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Literal

from service.answering import AnswerPolicy
from service.measures import (
    Estimate,
    RiskPoint,
    auroc_estimate,
    gold_share,
    hit,
    mean_estimate,
    ndcg,
    percentile,
    reciprocal_rank,
    risk_coverage,
    thin_curve,
)
from service.questions import BOILERPLATE, CRISIS, CRISIS_NOT, MULTI, OTHER_LANGUAGE
from service.reliability import ReliabilityBin, calibration_error_estimate, reliability_bins

REPORT_VERSION = 1
OVERALL = "all answerable"
DEFINITIONS = {
    "relevant": "a passage of the labelled document, when at least half of the passage lies in a labelled span or at "
    "least half of the span lies in the passage; gold and also count alike",
    "ranking": "over questions with at least one label placed in the snapshot; each is answered, with ten passages",
    "ndcg@10": "gain 1; the best list holds all relevant passages, at most max_per_document of each document",
    "gold_documents@5": f"kind {MULTI}: share of distinct gold documents among the first five passages",
    "auroc": "confidence of answerable questions above that of unanswerable ones, ties half; n is the smaller side",
    "risk_coverage": "answerable, near and far together; right is a relevant passage at rank 1",
    "calibration_error": "expected calibration error over answerable, near and far: confidence against the share that "
    "is answerable, in ten bins of equally many questions",
    "evidence": "relevant passages at rank 1 of questions labelled by quote: at least half of the label's part is "
    "marked, or at least half of the marked is labelled",
    "interval": "95 % percentile bootstrap over questions, 2,000 resamples, seed 0",
}

Group = Literal["answerable", "near", "far", "unplaced", "other"]
GROUPS: tuple[Group, ...] = ("answerable", "near", "far")


@dataclass(frozen=True, slots=True)
class Returned:
    """One passage that came back, and what was found out about it."""

    document_id: str
    start: int
    end: int
    is_relevant: bool
    is_verbatim: bool
    is_furniture: bool  # shares at least one character with a furniture block


@dataclass(frozen=True, slots=True)
class Outcome:
    """
    One question asked.

    `group`: answerable (a label was placed), near and far (unanswerable), unplaced (labels, none placed), other (no
    label and not meant to measure abstention). `n_relevant` is what the best possible list holds. `is_agreed` and
    `marked_share` are None unless rank 1 is relevant and the labels are quotes.
    """

    id: str
    kind: str
    group: Group
    text: str = field(repr=False)
    returned: tuple[Returned, ...]
    n_relevant: int
    gold_documents: tuple[str, ...]
    confidence: float
    is_answered: bool  # at the policy's operating point
    is_agreed: bool | None
    marked_share: float | None
    n_notices: int
    took_ms: float
    is_other_language: bool = False  # refused for its language

    @property
    def relevance(self) -> tuple[bool, ...]:
        """Return the relevance of what came back, best first."""
        return tuple(passage.is_relevant for passage in self.returned)

    @property
    def first_relevant_rank(self) -> int | None:
        """Return the rank of the first relevant passage, None without one."""
        return next((rank for rank, relevant in enumerate(self.relevance, start=1) if relevant), None)


@dataclass(frozen=True, slots=True)
class LabelProblem:
    """A label that could not be used as it stands; `is_placed` when it was, and no passage covers it."""

    question_id: str
    document_id: str
    reason: str
    is_placed: bool = False


@dataclass(frozen=True, slots=True)
class Ranking:
    """The ranking measures over some questions; None without questions."""

    n: int
    estimates: dict[str, Estimate | None]


@dataclass(frozen=True, slots=True)
class Table:
    """A table for people: `rows` are as wide as `header`."""

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


RANKING_MEASURES: dict[str, Callable[[Outcome], float]] = {
    "hit@1": lambda o: hit(o.relevance, 1),
    "hit@3": lambda o: hit(o.relevance, 3),
    "hit@5": lambda o: hit(o.relevance, 5),
    "mrr@10": lambda o: reciprocal_rank(o.relevance),
    "ndcg@10": lambda o: ndcg(o.relevance, o.n_relevant),
}


@dataclass(frozen=True, slots=True)
class EvaluationReport:
    """Everything measured in one run; `outcomes` are in the order of the file."""

    questions_name: str
    questions_sha256: str
    snapshot_id: str
    built_at: str
    model_fingerprint: str
    policy: AnswerPolicy
    has_notices: bool
    outcomes: tuple[Outcome, ...]
    problems: tuple[LabelProblem, ...]

    def of(self, group: Group) -> list[Outcome]:
        """Return the outcomes of one group."""
        return [o for o in self.outcomes if o.group == group]

    def of_kind(self, kind: str) -> list[Outcome]:
        """Return the outcomes of one kind."""
        return [o for o in self.outcomes if o.kind == kind]

    def rankings(self) -> dict[str, Ranking]:
        """Return the ranking measures of each kind with an answerable question, in the file's order, then overall."""
        answerable = self.of("answerable")
        by_kind: dict[str, list[Outcome]] = {}
        for outcome in answerable:
            by_kind.setdefault(outcome.kind, []).append(outcome)
        return {kind: _rank(outcomes) for kind, outcomes in (*by_kind.items(), (OVERALL, answerable))}

    def gold_documents(self) -> Estimate | None:
        """Return the share of gold documents among the first five passages, over kind multi."""
        multi = [o for o in self.of("answerable") if o.kind == MULTI and o.gold_documents]
        return mean_estimate([gold_share(o.gold_documents, [r.document_id for r in o.returned]) for o in multi])

    def auroc(self, group: Group) -> Estimate | None:
        """Return how well confidence tells answerable questions from those of a group."""
        return auroc_estimate([o.confidence for o in self.of("answerable")], [o.confidence for o in self.of(group)])

    def share_answered(self, group: Group) -> Estimate | None:
        """Return the share of a group's questions answered at the policy's operating point."""
        return mean_estimate([float(o.is_answered) for o in self.of(group)])

    def risk_points(self) -> list[RiskPoint]:
        """Return the risk/coverage curve in steps of a tenth."""
        return thin_curve(self.all_risk_points())

    def all_risk_points(self) -> list[RiskPoint]:
        """Return the whole risk/coverage curve."""
        asked = self._decided()
        return risk_coverage([o.confidence for o in asked], [o.relevance[:1] == (True,) for o in asked])

    def risk_at_point(self) -> Estimate | None:
        """Return the share of questions answered at the operating point whose first passage is not relevant."""
        answered = [o for o in self._decided() if o.is_answered]
        return mean_estimate([float(o.relevance[:1] != (True,)) for o in answered])

    def reliability(self) -> list[ReliabilityBin]:
        """Return the points of the reliability diagram: confidence against the share that is answerable."""
        asked = self._decided()
        return reliability_bins([o.confidence for o in asked], [o.group == "answerable" for o in asked])

    def calibration_error(self) -> Estimate | None:
        """Return the expected calibration error, None without any question that counts."""
        asked = self._decided()
        return calibration_error_estimate([o.confidence for o in asked], [o.group == "answerable" for o in asked])

    def _decided(self) -> list[Outcome]:
        return [o for group in GROUPS for o in self.of(group)]

    def evidence(self) -> Estimate | None:
        """Return how often the marked evidence is the labelled stretch."""
        return mean_estimate([float(o.is_agreed) for o in self.outcomes if o.is_agreed is not None])

    def marked(self) -> Estimate | None:
        """Return the share of those passages that is marked; near 1 the agreement says nothing."""
        return mean_estimate([o.marked_share for o in self.outcomes if o.marked_share is not None])

    def share_of_returned(self, test: Callable[[Returned], bool]) -> float | None:
        """Return the share of all returned passages that pass a test, None without any."""
        passed = [test(r) for o in self.outcomes for r in o.returned]
        return sum(passed) / len(passed) if passed else None

    def notices(self) -> dict[str, Estimate | None] | None:
        """Return notice recall and false alarms, None for a deployment without notices."""
        if not self.has_notices:
            return None
        others = [o for o in self.outcomes if o.kind not in (CRISIS, CRISIS_NOT)]
        sides = {
            "recall": self.of_kind(CRISIS),
            "false_alarms": self.of_kind(CRISIS_NOT),
            "other_alarms": others,
        }
        return {name: mean_estimate([float(o.n_notices > 0) for o in side]) for name, side in sides.items()}

    def languages(self) -> dict[str, Estimate | None]:
        """Return how often questions in other languages, and labelled ones, are refused for their language."""
        sides = {"refused": self.of_kind(OTHER_LANGUAGE), "refused_answerable": self.of("answerable")}
        return {name: mean_estimate([float(o.is_other_language) for o in side]) for name, side in sides.items()}

    def to_json(self, with_questions: bool = False) -> dict[str, object]:
        """
        Return the report as values that `json.dumps` takes.

        Args:
            with_questions: put each question's text beside its id; otherwise no question's text is in it.
        """
        rankings = {name: _ranking_json(ranking) for name, ranking in self.rankings().items()}
        return {
            "report_version": REPORT_VERSION,
            "questions": {"file": self.questions_name, "sha256": self.questions_sha256, "n": len(self.outcomes)},
            "snapshot": {"id": self.snapshot_id, "built_at": self.built_at},
            "model_fingerprint": self.model_fingerprint,
            "policy": _policy_json(self.policy),
            "definitions": DEFINITIONS,
            "ranking": {"overall": rankings.pop(OVERALL), "kinds": rankings},
            "gold_documents@5": _json(self.gold_documents()),
            "abstention": {
                "auroc": {group: _json(self.auroc(group)) for group in GROUPS[1:]},
                "share_answered": {group: _json(self.share_answered(group)) for group in GROUPS},
                "risk_coverage": [asdict(point) for point in self.risk_points()],
                "risk_at_operating_point": _json(self.risk_at_point()),
            },
            "calibration": {
                "error": _json(self.calibration_error()),
                "reliability": [asdict(point) for point in self.reliability()],
            },
            "evidence": {"agreement": _json(self.evidence()), "marked_share": _json(self.marked())},
            "returned": {
                "n": sum(len(o.returned) for o in self.outcomes),
                "verbatim_share": self.share_of_returned(lambda r: r.is_verbatim),
                "furniture_share": self.share_of_returned(lambda r: r.is_furniture),
                "not_verbatim": self._ids(lambda r: not r.is_verbatim),
                "furniture": self._ids(lambda r: r.is_furniture),
            },
            "boilerplate": [_boilerplate_json(o) for o in self.of_kind(BOILERPLATE)],
            "notices": None if (found := self.notices()) is None else {name: _json(e) for name, e in found.items()},
            "languages": {name: _json(estimate) for name, estimate in self.languages().items()},
            "took_ms": {"p50": self.took_ms(0.5), "p95": self.took_ms(0.95)},
            "labels": {
                "n_unlabelled": len(self.of("unplaced")),
                "unlabelled": [o.id for o in self.of("unplaced")],
                "problems": [asdict(problem) for problem in self.problems],
            },
            "outcomes": [_outcome_json(o, with_questions) for o in self.outcomes],
        }

    def took_ms(self, share: float) -> float | None:
        """Return a percentile of the milliseconds per question."""
        return percentile([o.took_ms for o in self.outcomes], share)

    def _ids(self, test: Callable[[Returned], bool]) -> list[str]:
        return [o.id for o in self.outcomes if any(test(r) for r in o.returned)]


def render_rows(report: EvaluationReport) -> tuple[Table, ...]:
    """Return the report as tables for people: ranking by kind, then everything else, then the labels in doubt."""
    names = tuple(RANKING_MEASURES)
    ranking = tuple(
        (kind, str(found.n), *(format_estimate(found.estimates[name]) for name in names))
        for kind, found in report.rankings().items()
    )
    tables = [Table("Ranking", ("kind", "n", *names), ranking), Table("Other measures", _OTHER, _other_rows(report))]
    bins = tuple((str(b.n), f"{b.confidence:.3f}", f"{b.share_true:.3f}") for b in report.reliability())
    if bins:
        tables.append(Table("Reliability", ("questions", "mean confidence", "answerable"), bins))
    curve = tuple((f"{p.coverage:.2f}", f"{p.risk:.3f}", f"{p.threshold:.3f}") for p in report.risk_points())
    if curve:
        tables.append(Table("Risk by coverage", ("answered", "of these wrong", "confidence from"), curve))
    if report.problems:
        rows = tuple((p.question_id, p.document_id, p.reason) for p in report.problems)
        tables.append(Table("Labels in doubt", ("question", "document", "reason"), rows))
    return tuple(tables)


def format_estimate(estimate: Estimate | None) -> str:
    """Return "0.873 [0.850, 0.894]", or a dash where nothing could be measured."""
    return "–" if estimate is None else f"{estimate.value:.3f} [{estimate.low:.3f}, {estimate.high:.3f}]"


_OTHER = ("measure", "n", "value")


def _other_rows(report: EvaluationReport) -> tuple[tuple[str, ...], ...]:
    n_returned = str(sum(len(o.returned) for o in report.outcomes))
    n_outcomes = str(len(report.outcomes))
    estimates: list[tuple[str, Estimate | None]] = [
        ("gold documents in the first five (multi)", report.gold_documents()),
        ("AUROC of confidence, against far", report.auroc("far")),
        ("AUROC of confidence, against near", report.auroc("near")),
        *((f"share answered, {group}", report.share_answered(group)) for group in GROUPS),
        ("wrong first passage, of those answered", report.risk_at_point()),
        ("calibration error of confidence", report.calibration_error()),
        ("evidence is the labelled stretch", report.evidence()),
        ("share of those passages marked", report.marked()),
        *((f"notices, {name.replace('_', ' ')}", e) for name, e in (report.notices() or {"all": None}).items()),
    ]
    estimates += [(f"other languages, {name.replace('_', ' ')}", e) for name, e in report.languages().items()]
    numbers = [
        ("verbatim share", n_returned, _number(report.share_of_returned(lambda r: r.is_verbatim), 4)),
        ("furniture leakage", n_returned, _number(report.share_of_returned(lambda r: r.is_furniture), 4)),
        ("milliseconds, p50", n_outcomes, _number(report.took_ms(0.5), 1)),
        ("milliseconds, p95", n_outcomes, _number(report.took_ms(0.95), 1)),
        ("questions left out of ranking: no label placed", str(len(report.of("unplaced"))), ""),
        ("labels in doubt", str(len(report.problems)), ""),
    ]
    return (*((name, str(e.n if e else 0), format_estimate(e)) for name, e in estimates), *numbers)


def _rank(outcomes: Sequence[Outcome]) -> Ranking:
    estimates = {name: mean_estimate([measure(o) for o in outcomes]) for name, measure in RANKING_MEASURES.items()}
    return Ranking(len(outcomes), estimates)


def _number(value: float | None, digits: int) -> str:
    return "–" if value is None else f"{value:.{digits}f}"


def _policy_json(policy: AnswerPolicy) -> dict[str, object]:
    return {
        "min_confidence": policy.threshold,
        "n_nearest": policy.n_nearest,
        "max_per_document": policy.max_per_document,
        "preferred": list(policy.preferred),
        "fusion": asdict(policy.fusion),
        "calibration_sha256": policy.abstain.calibration_sha256,
    }


def _json(estimate: Estimate | None) -> dict[str, float | int] | None:
    return None if estimate is None else asdict(estimate)


def _ranking_json(ranking: Ranking) -> dict[str, object]:
    return {"n": ranking.n, **{name: _json(estimate) for name, estimate in ranking.estimates.items()}}


def _boilerplate_json(outcome: Outcome) -> dict[str, object]:
    passages = [
        {"document": r.document_id, "start": r.start, "end": r.end, "furniture": r.is_furniture}
        for r in outcome.returned
    ]
    return {"id": outcome.id, "answered": outcome.is_answered, "passages": passages}


def _outcome_json(outcome: Outcome, with_questions: bool) -> dict[str, object]:
    question = {"question": outcome.text} if with_questions else {}
    return {
        "id": outcome.id,
        **question,
        "kind": outcome.kind,
        "group": outcome.group,
        "first_relevant_rank": outcome.first_relevant_rank,
        "confidence": outcome.confidence,
        "answered": outcome.is_answered,
        "n_notices": outcome.n_notices,
        "took_ms": outcome.took_ms,
    }
