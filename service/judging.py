"""
The judge of a process: which passages it reads, within what time, and what is done without it.

It reads the first passages of a question that something is to be decided about. Where it can't be loaded, is turned
off, is not the one that the calibration was fitted with, or is not through in time, the calibration's weights without
a judge decide, as they would if there were none.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from threading import Lock

from index.cores import n_cores
from index.errors import JudgeUnusable
from index.judge import SHIPPED, Judge, open_judge
from ingest.errors import AppError
from service.decision_features import N_LOOKED_AT, Look, pair_texts


@dataclass(slots=True)
class Judging:
    """A judge, the seconds that it may take for one question, and how often it was not through by then or failed."""

    judge: Judge
    budget_s: float
    n_missed: int = field(default=0, init=False)
    _lock: Lock = field(default_factory=Lock, init=False, repr=False)

    @property
    def sha256(self) -> str:
        """Return which judge it is."""
        return self.judge.sha256

    def judged(self, look: Look) -> Look:
        """Return a look with the log-odds of its passages, or as it was where the time was over or the judge failed."""
        texts = pair_texts(look.retrieval.hits, look.passages)
        try:
            log_odds = self.judge.log_odds(look.asked, texts, self.budget_s)
        except JudgeUnusable:
            log_odds = ()
        if len(log_odds) < len(texts):
            with self._lock:
                self.n_missed += 1
            return look
        return replace(look, log_odds=log_odds)

    def warnings(self) -> tuple[str, ...]:
        """Return what an operator should know."""
        if not self.n_missed:
            return ()
        missed = f"{self.n_missed} questions were decided without the judge, which was not through within"
        return (f"{missed} {1000 * self.budget_s:.0f} ms: give judge_budget_ms more, or the machine less work",)


@lru_cache(maxsize=4)
def open_judging(is_on: bool, budget_s: float, path: Path = SHIPPED) -> tuple[Judging | None, tuple[str, ...]]:
    """
    Return the judge of this process, opened once, and why there is none.

    A judge that can't be used stops nobody from answering: it is a warning, and the service decides without it.
    """
    if not is_on:
        return None, ()
    try:
        return Judging(open_judge(path, min(N_LOOKED_AT, n_cores())), budget_s), ()
    except AppError as error:
        return None, (f"questions are decided without the judge: {error.where}: {error.what} ({error.fix})",)
