"""How fast a piece of work goes and how long it will still take, from how much was done when. Pure."""

from __future__ import annotations

from collections import deque

# Work slows down and speeds up; older than this says little about what is left.
_WINDOW_S = 30.0
# Before that much time the figures would only jump about.
_LEAST_S = 1.0


class Pace:
    """Reports of one piece of work. What was done before the first report with anything in it does not count."""

    def __init__(self) -> None:
        self._reports: deque[tuple[float, int]] = deque()

    def report(self, now_s: float, done: int) -> None:
        """Note how much is done at a time; times ascend."""
        if not done:
            return
        self._reports.append((now_s, done))
        while self._reports[-1][0] - self._reports[0][0] > _WINDOW_S:
            self._reports.popleft()

    @property
    def per_s(self) -> float:
        """Return how much is done in a second of late, 0.0 while that is not known."""
        if not self._reports:
            return 0.0
        (first_s, first), (last_s, last) = self._reports[0], self._reports[-1]
        return (last - first) / (last_s - first_s) if last_s - first_s >= _LEAST_S else 0.0

    def left_s(self, total: int) -> float | None:
        """Return how many seconds are left of `total`, None while that is not known."""
        return (total - self._reports[-1][1]) / self.per_s if self.per_s else None


def shown(pace: Pace, total: int, unit: str) -> str:
    """Return a pace for people, such as "53 passages/s, 2:05 left"; "" while it is not known."""
    left_s = pace.left_s(total)
    if left_s is None:
        return ""
    minutes, seconds = divmod(round(left_s), 60)
    hours, minutes = divmod(minutes, 60)
    clock = f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
    return f"{pace.per_s:.0f} {unit}/s, {clock} left"
