"""
Positioned fragments to segments: stretches of one baseline without a wide gap. Pure; no columns, no blocks.

Coordinates are points with the origin at the lower left of the page as displayed, y is the baseline.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

# Same thresholds as inside a showing operator (pdf_content).
_WORD_GAP_EM = 0.15
_SEGMENT_GAP_EM = 0.7
_SAME_BASELINE_EM = 0.2
# Stand for raised digits and signs until the text is written: raw they are what the file says, shown they are
# superscripts ("10³" must not become "103"). The end of the last private plane; fonts don't map there.
_RAISED = "0123456789+-\u2212"
_SUPERSCRIPTS = "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁻"
RAISED_FIRST = 0x10FF00
RAISED = {chr(RAISED_FIRST + i): (_RAISED[i], _SUPERSCRIPTS[i]) for i in range(len(_RAISED))}
_RAISE = {ord(char): chr(RAISED_FIRST + i) for i, char in enumerate(_RAISED)}
_PLAIN = {ord(k): v[0] for k, v in RAISED.items()}
_SHOWN = {ord(k): v[1] for k, v in RAISED.items()}
_MAX_NEIGHBOURS = 150  # segments looked at from a script, up and down; a page has about 100 lines
_MAX_INITIALS = 40  # large single letters on a page; more are no drop caps
_RTL_FIRST, _RTL_LAST = "\u0590", "\u08ff"


@dataclass(frozen=True, slots=True)
class Fragment:
    """Characters shown by one operator; `text` may begin or end with a blank that x0 and x1 leave out."""

    text: str
    x0: float
    x1: float
    y: float
    size: float
    angle: int = 0  # degrees, counter-clockwise; x and y are in the frame in which it reads left to right
    is_bold: bool = False
    is_hidden: bool = False
    artifact: str = ""  # what a tagged file calls it: header, footer, pagination, watermark


@dataclass(frozen=True, slots=True)
class Rule:
    """A horizontal stroke."""

    x0: float
    x1: float
    y: float


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of one baseline without a wide gap in it; `order` is its place in the drawing order."""

    text: str
    x0: float
    x1: float
    y: float
    size: float
    order: int
    angle: int = 0
    is_bold: bool = False
    is_hidden: bool = False
    artifact: str = ""

    @property
    def top(self) -> float:
        """Return the height that capitals reach, about."""
        return self.y + 0.75 * self.size

    @property
    def bottom(self) -> float:
        """Return the depth that descenders reach, about."""
        return self.y - 0.2 * self.size


def plain(text: str) -> str:
    """Return a line's text as the file says it, raised digits as digits."""
    return text.translate(_PLAIN)


def shown(text: str) -> str:
    """Return a line's text with raised digits as superscripts."""
    return text.translate(_SHOWN)


def build_segments(fragments: Sequence[Fragment], check: Callable[[], None] = lambda: None) -> list[Segment]:
    """
    Return the segments of one page, in drawing order.

    Args:
        fragments: of one page, in drawing order, every angle.
        check: called between steps; may raise to stop.
    """
    numbered = list(enumerate(_drop_overprints(fragments)))
    chains: list[list[tuple[int, Fragment]]] = []
    for angle in sorted({f.angle for _, f in numbered}):
        turned = [(n, f) for n, f in numbered if f.angle == angle]
        for baseline in _baselines(turned):
            chains.extend(_chains(baseline))
    segments = [(chain, _merge(chain)) for chain in chains]
    check()
    merged = _attach_scripts(segments)
    check()
    return sorted(_join_drop_caps(merged), key=lambda s: s.order)


def _drop_overprints(fragments: Sequence[Fragment]) -> list[Fragment]:
    """Return the fragments without those printed twice a hair apart, which imitates bold type."""
    seen: dict[str, list[Fragment]] = {}
    kept: list[Fragment] = []
    for fragment in fragments:
        same = seen.setdefault(fragment.text.strip(), [])
        slack = 0.12 * fragment.size
        recent = same[-8:]
        if any(
            abs(f.x0 - fragment.x0) <= slack
            and abs(f.y - fragment.y) <= slack
            and abs(f.x1 - fragment.x1) <= slack
            and f.angle == fragment.angle
            for f in recent
        ):
            continue
        same.append(fragment)
        kept.append(fragment)
    return kept


def _baselines(fragments: list[tuple[int, Fragment]]) -> list[list[tuple[int, Fragment]]]:
    """Group fragments whose baselines agree; each group from left to right."""
    groups: list[list[tuple[int, Fragment]]] = []
    for item in sorted(fragments, key=lambda i: (-i[1].y, i[1].x0)):
        last = groups[-1] if groups else None
        if last is not None and last[0][1].y - item[1].y <= _SAME_BASELINE_EM * min(last[0][1].size, item[1].size):
            last.append(item)
        else:
            groups.append([item])
    for group in groups:
        group.sort(key=lambda i: (i[1].x0, i[0]))
    return groups


def _chains(baseline: list[tuple[int, Fragment]]) -> list[list[tuple[int, Fragment]]]:
    """Cut a baseline at its wide gaps."""
    chains: list[list[tuple[int, Fragment]]] = []
    right = 0.0
    for item in baseline:
        fragment = item[1]
        size = max(fragment.size, chains[-1][-1][1].size) if chains else fragment.size
        if chains and fragment.x0 - right <= _SEGMENT_GAP_EM * size:
            chains[-1].append(item)
            right = max(right, fragment.x1)
        else:
            chains.append([item])
            right = fragment.x1
    return chains


def _merge(chain: list[tuple[int, Fragment]]) -> Segment:
    """Make one segment of fragments from left to right."""
    parts: list[str] = []
    previous: Fragment | None = None
    for _, fragment in chain:
        if previous is not None:
            gap = fragment.x0 - previous.x1
            if gap > _WORD_GAP_EM * min(previous.size, fragment.size):
                parts.append(" ")
        parts.append(fragment.text)
        previous = fragment
    text = " ".join("".join(parts).split())
    fragments = [f for _, f in chain]
    weights: dict[float, int] = {}
    for fragment in fragments:
        weights[fragment.size] = weights.get(fragment.size, 0) + len(fragment.text.strip())
    size = max(weights, key=lambda s: (weights[s], s))
    main = next(f for f in fragments if f.size == size)
    return Segment(
        text=reading_order(text),
        x0=min(f.x0 for f in fragments),
        x1=max(f.x1 for f in fragments),
        y=main.y,
        size=size,
        order=min(n for n, _ in chain),
        angle=main.angle,
        is_bold=all(f.is_bold for f in fragments),
        is_hidden=all(f.is_hidden for f in fragments),
        artifact=main.artifact if all(f.artifact for f in fragments) else "",
    )


def reading_order(text: str) -> str:
    """
    Return right-to-left text in reading order; PDF shows it as it looks, from left to right.

    A line that is mostly right-to-left is turned round, then its numbers and Latin words are turned back.
    """
    n_rtl = sum(_RTL_FIRST <= c <= _RTL_LAST or "\ufb1d" <= c <= "\ufefc" for c in text)
    if n_rtl == 0 or 2 * n_rtl < sum(c.isalpha() for c in text):
        return text
    words = [
        word if any(c.isascii() and c.isalnum() for c in word) else word[::-1] for word in reversed(text.split(" "))
    ]
    return " ".join(words)


def _attach_scripts(chains: list[tuple[list[tuple[int, Fragment]], Segment]]) -> list[Segment]:
    """Put superscripts and subscripts into the segment beside which they stand."""
    hosts = sorted(chains, key=lambda c: -c[1].size)
    scripts: dict[int, int] = {}  # index of the script -> index of its host
    order = sorted(range(len(hosts)), key=lambda i: hosts[i][1].y)
    for place, index in enumerate(order):
        script = hosts[index][1]
        if len(script.text) > 12:
            continue
        best: tuple[float, int] | None = None
        for other in (*_nearby(order, place, hosts, script, 1), *_nearby(order, place, hosts, script, -1)):
            host = hosts[other][1]
            rise = script.y - host.y
            if script.size > 0.85 * host.size or host.angle != script.angle or other in scripts:
                continue
            if not -0.35 * host.size <= rise <= 0.6 * host.size:
                continue
            gap = _gap_to_host(script, [f for _, f in hosts[other][0]])
            if gap <= 0.3 * host.size and (best is None or gap < best[0]):
                best = (gap, other)
        if best is not None:
            scripts[index] = best[1]
    joined: dict[int, list[tuple[int, Fragment]]] = {}
    for index, owner in scripts.items():
        if owner not in scripts:
            is_raised = hosts[index][1].y - hosts[owner][1].y > 0.2 * hosts[owner][1].size
            joined.setdefault(owner, []).extend(_raised(hosts[index][0]) if is_raised else hosts[index][0])
    out: list[Segment] = []
    for index, (chain, segment) in enumerate(hosts):
        if index in joined:
            out.append(_merge(sorted(chain + joined[index], key=lambda i: (i[1].x0, i[0]))))
        elif index not in scripts or scripts[index] in scripts:
            out.append(segment)
    return out


def _raised(script: list[tuple[int, Fragment]]) -> list[tuple[int, Fragment]]:
    """Mark the digits and signs of a superscript; letters ("1st") and stars stay as they are."""
    return [(n, replace(f, text=f.text.translate(_RAISE))) for n, f in script]


def _nearby(
    order: list[int], place: int, hosts: list[tuple[list[tuple[int, Fragment]], Segment]], script: Segment, step: int
) -> Iterable[int]:
    """Yield the indexes whose baselines are close enough to host the script."""
    place += step
    stop = place + step * _MAX_NEIGHBOURS
    while 0 <= place < len(order) and place != stop and abs(hosts[order[place]][1].y - script.y) <= 12 + script.size:
        yield order[place]
        place += step


def _gap_to_host(script: Segment, fragments: list[Fragment]) -> float:
    """Return the horizontal distance between a script and the nearest fragment; overlapping text is far away."""
    best = float("inf")
    for fragment in fragments:
        if script.x0 < fragment.x1 - 0.3 * script.size and fragment.x0 < script.x1 - 0.3 * script.size:
            return float("inf")
        best = min(best, abs(script.x0 - fragment.x1), abs(fragment.x0 - script.x1))
    return best


def _join_drop_caps(segments: list[Segment]) -> list[Segment]:
    """Put a large initial before the line at whose top it stands."""
    caps = [s for s in segments if len(s.text) == 1 and s.text.isalpha()]
    for cap in caps if len(caps) <= _MAX_INITIALS else ():
        candidates = [
            s
            for s in segments
            if s.size * 1.8 <= cap.size
            and s.angle == cap.angle
            and -0.2 * s.size <= s.x0 - cap.x1 <= 1.5 * s.size
            and abs(s.top - cap.top) <= 0.5 * s.size
            and s.text[0].isalpha()
        ]
        if len(candidates) == 1:
            line = candidates[0]
            segments = [s for s in segments if s is not cap and s is not line]
            segments.append(replace(line, text=cap.text + line.text, order=min(cap.order, line.order)))
    return segments


def rows_by_baseline(segments: list[Segment]) -> list[list[Segment]]:
    """Group segments whose baselines agree, from the top; each row from left to right."""
    rows: list[list[Segment]] = []
    for segment in sorted(segments, key=lambda s: (-s.y, s.x0)):
        if rows and abs(rows[-1][0].y - segment.y) <= 0.25 * min(rows[-1][0].size, segment.size):
            rows[-1].append(segment)
        else:
            rows.append([segment])
    for row in rows:
        row.sort(key=lambda s: s.x0)
    return rows
