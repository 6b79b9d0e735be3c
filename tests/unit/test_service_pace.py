"""How fast work goes, on made-up clocks."""

from __future__ import annotations

import pytest

from service.commands.pace import Pace, shown


def test_what_was_done_before_the_first_look_is_no_speed() -> None:
    """This ensures that passages embedded while others were split do not make a build look faster than it is."""
    pace = Pace()
    pace.report(0.0, 0)
    pace.report(0.1, 3_000)
    for second in range(1, 11):
        pace.report(0.1 + second, 3_000 + 50 * second)

    assert pace.per_s == pytest.approx(50)
    assert pace.left_s(4_000) == pytest.approx(10)


def test_the_last_half_minute_counts() -> None:
    """This ensures that a machine that got busy shows in the time left."""
    pace = Pace()
    for second in range(1, 101):
        pace.report(second, 100 * second if second <= 50 else 5_000 + 10 * (second - 50))

    assert pace.per_s == pytest.approx(10)


@pytest.mark.parametrize("reports", [[], [(0.0, 0)], [(5.0, 7)], [(5.0, 7), (5.5, 9)]])
def test_nothing_is_said_before_it_is_known(reports: list[tuple[float, int]]) -> None:
    """This ensures that no figure is shown that the next moment takes back, and nothing is divided by zero."""
    pace = Pace()
    for now_s, done in reports:
        pace.report(now_s, done)

    assert (pace.per_s, pace.left_s(100), shown(pace, 100, "passages")) == (0.0, None, "")


@pytest.mark.parametrize(
    ("total", "expected"), [(1_250, "50 passages/s, 0:05 left"), (200_000, "50 passages/s, 1:06:20 left")]
)
def test_people_read_a_clock(total: int, expected: str) -> None:
    """This ensures that minutes and hours are shown as a clock shows them."""
    pace = Pace()
    pace.report(0.0, 500)
    pace.report(10.0, 1_000)

    assert shown(pace, total, "passages") == expected
