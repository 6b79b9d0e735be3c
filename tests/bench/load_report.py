"""What `load.py` finds: requests, switches, percentiles, and the report on them. Sends nothing, starts nothing."""

from __future__ import annotations

import statistics
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(slots=True)
class Sample:
    """One request: when it was due and answered (monotonic seconds), its status, and the snapshot that answered."""

    due: float
    done: float
    status: int  # 0: no response
    snapshot: str = ""

    @property
    def latency_ms(self) -> float:
        """Return the time from when the request was due."""
        return (self.done - self.due) * 1000


@dataclass(slots=True)
class Switch:
    """One switch: when the command began, when CURRENT changed, when every worker had opened the new snapshot."""

    snapshot: str
    started: float
    published: float
    finished: float


@dataclass(slots=True)
class Latencies:
    """Percentiles of some requests, in milliseconds; None without a request."""

    n: int
    p50: float | None
    p95: float | None
    p99: float | None
    worst: float | None


@dataclass(slots=True)
class Report:
    """What one run found; times in the unit that their names say."""

    capacity_per_s: float
    rate_per_s: float
    seconds: float
    n_requests: int
    n_failed: int
    failures: dict[str, int]
    n_out_of_date: int  # replies from an older snapshot, asked after every worker had switched
    overall: Latencies
    during_switches: Latencies  # from publishing until every worker serves the new snapshot
    during_commands: Latencies  # while the command that publishes was still working, on the same cores
    outside: Latencies
    n_switches: int
    switch_ms: Latencies  # from publishing until every worker serves the new snapshot
    memory: list[dict[str, int]] = field(default_factory=list)  # by worker, bytes


def percentiles(values: Sequence[float]) -> Latencies:
    """Return the percentiles of some times, by nearest rank: each is a time that was measured."""
    if not values:
        return Latencies(0, None, None, None, None)
    ordered = sorted(values)

    def at(share: float) -> float:
        return round(ordered[max(-(-int(share * 1000) * len(ordered) // 1000) - 1, 0)], 2)

    return Latencies(len(ordered), at(0.5), at(0.95), at(0.99), round(ordered[-1], 2))


def is_during(sample: Sample, windows: Sequence[tuple[float, float]]) -> bool:
    """Tell whether any of a request's time, from due to done, lies in one of the windows."""
    return any(sample.due <= end and start <= sample.done for start, end in windows)


def summarise(samples: Sequence[Sample], switches: Sequence[Switch], capacity: float, rate: float) -> Report:
    """Return the report on a run."""
    switching = [(s.published, s.finished) for s in switches]
    working = [(s.started, s.published) for s in switches]
    answered = [s for s in samples if s.status == 200]
    during = [s for s in answered if is_during(s, switching)]
    commands = [s for s in answered if not is_during(s, switching) and is_during(s, working)]
    outside = [s for s in answered if not is_during(s, switching) and not is_during(s, working)]
    failures: dict[str, int] = {}
    for sample in samples:
        if sample.status != 200:
            name = str(sample.status or "no response")
            failures[name] = failures.get(name, 0) + 1
    return Report(
        capacity_per_s=round(capacity, 1),
        rate_per_s=round(rate, 1),
        seconds=round(max((s.due for s in samples), default=0.0) - min((s.due for s in samples), default=0.0), 1),
        n_requests=len(samples),
        n_failed=sum(failures.values()),
        failures=failures,
        n_out_of_date=count_out_of_date(answered, switches),
        overall=percentiles([s.latency_ms for s in answered]),
        during_switches=percentiles([s.latency_ms for s in during]),
        during_commands=percentiles([s.latency_ms for s in commands]),
        outside=percentiles([s.latency_ms for s in outside]),
        n_switches=len(switches),
        switch_ms=percentiles([(s.finished - s.published) * 1000 for s in switches]),
    )


def count_out_of_date(samples: Sequence[Sample], switches: Sequence[Switch]) -> int:
    """Count the replies to questions due after a switch had finished that name another snapshot than the newest."""
    count = 0
    for sample in samples:
        before = [s for s in switches if s.finished <= sample.due]
        begun = [s for s in switches if s.published <= sample.done]
        if before and len(before) == len(begun) and sample.snapshot != before[-1].snapshot:
            count += 1
    return count


def print_table(report: Report) -> None:
    """Print a report for people."""
    lines = [
        f"capacity {report.capacity_per_s} questions/s; asked {report.rate_per_s}/s for {report.seconds} s",
        f"{report.n_requests} requests, {report.n_failed} failed, {report.n_out_of_date} out of date",
        *(f"failed with {name}: {count}" for name, count in report.failures.items()),
        f"{'ms':<22}{'n':>8}{'p50':>10}{'p95':>10}{'p99':>10}{'worst':>10}",
    ]
    for name in ("overall", "outside", "during_commands", "during_switches", "switch_ms"):
        values = getattr(report, name)
        shown = (f"{v:.1f}" if v is not None else "-" for v in (values.p50, values.p95, values.p99, values.worst))
        lines.append(f"{name.replace('_', ' '):<22}{values.n:>8}" + "".join(f"{text:>10}" for text in shown))
    for worker in report.memory:
        sizes = {name: f"{size / 1e6:.0f} MB" for name, size in worker.items() if name != "pid"}
        lines.append(f"worker {worker['pid']}: " + ", ".join(f"{n.replace('_', ' ')} {v}" for n, v in sizes.items()))
    if report.memory:
        grown = statistics.mean(w["pss_after"] / w["pss_before"] - 1 for w in report.memory)
        lines.append(f"pss grew by {grown:+.1%} on average")
    sys.stdout.write("\n".join(lines) + "\n")
