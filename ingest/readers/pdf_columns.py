"""
Segments of one page to regions in reading order: columns, what spans them, tables. Pure; knows no blocks, no document.

A gutter is an x at which many segments begin and which few cross. Segments that cross it cut the page into bands;
within a band the left side is read before the right one, if both sides are running text and not the columns of a
table. Each side is cut again in the same way (three columns, sidebars).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean, median

from ingest.readers.pdf_lines import Rule, Segment, rows_by_baseline

_MAX_DEPTH = 6
_MAX_CANDIDATES = 24
_MAX_SEGMENTS = 4_000  # beyond it the page is read as one column: the search for gutters is quadratic
_EDGE_SLACK = 3.0  # points by which lines of one column may begin apart
_MIN_GUTTER = 4.0  # points


@dataclass(frozen=True, slots=True)
class Region:
    """
    Segments that are read row by row, from the top. `x0` and `x1` are its edges.

    `is_column` tells that it stood beside another region.
    """

    segments: tuple[Segment, ...]
    x0: float
    x1: float
    is_column: bool = False


@dataclass(slots=True)
class _Cut:
    """One way to cut a set of segments at a gutter."""

    gutter: float
    bands: list[tuple[bool, list[Segment], list[Segment]]]  # (is cut in columns, left or all, right)
    gain: int  # number of segments that stand in columns


def order_regions(
    segments: Sequence[Segment], rules: Sequence[Rule] = (), known_gutters: Sequence[float] = ()
) -> tuple[list[Region], list[float]]:
    """
    Return (regions in reading order, the gutters found).

    Args:
        segments: of one page and one angle, without running headers and footers.
        rules: horizontal strokes of the page, which tell tables from columns.
        known_gutters: of earlier pages; there, a few lines are enough.
    """
    gutters: list[float] = []
    regions = _split(list(segments), rules, known_gutters, gutters, 0, False)
    return regions, gutters


def _split(
    segments: list[Segment],
    rules: Sequence[Rule],
    known: Sequence[float],
    gutters: list[float],
    depth: int,
    is_column: bool,
) -> list[Region]:
    if not segments:
        return []
    cut = None
    if 2 <= len(segments) <= _MAX_SEGMENTS and depth < _MAX_DEPTH:
        cut = _best_cut(segments, rules, known)
    if cut is None:
        return [_region(segments, is_column)]
    gutters.append(cut.gutter)
    regions: list[Region] = []
    for in_columns, left, right in cut.bands:
        if in_columns:
            regions.extend(_split(left, rules, known, gutters, depth + 1, True))
            regions.extend(_split(right, rules, known, gutters, depth + 1, True))
        elif len(left) < len(segments):
            regions.extend(_split(left, rules, known, gutters, depth + 1, is_column))
        else:
            regions.append(_region(left, is_column))
    return _fuse_plain(regions)


def _region(segments: list[Segment], is_column: bool) -> Region:
    return Region(tuple(segments), min(s.x0 for s in segments), max(s.x1 for s in segments), is_column)


def _fuse_plain(regions: list[Region]) -> list[Region]:
    """Join neighbours that are not columns, so that a paragraph is not cut where a band begins by chance."""
    fused: list[Region] = []
    for region in regions:
        if fused and not region.is_column and not fused[-1].is_column:
            fused[-1] = _region([*fused[-1].segments, *region.segments], False)
        else:
            fused.append(region)
    return fused


def _best_cut(segments: list[Segment], rules: Sequence[Rule], known: Sequence[float]) -> _Cut | None:
    best: _Cut | None = None
    for edge in _candidates(segments, known):
        cut = _cut_at(edge, segments, rules, any(abs(edge - k) <= _EDGE_SLACK for k in known))
        # A known gutter has already been tried first and wins a tie.
        if cut.gain and (best is None or cut.gain > best.gain):
            best = cut
    return best


def _candidates(segments: list[Segment], known: Sequence[float]) -> list[float]:
    """Return x values at which several segments begin, most of them first; known gutters lead."""
    edges = sorted(s.x0 for s in segments)
    leftmost = edges[0]
    groups: list[list[float]] = []
    for edge in edges:
        if groups and edge - groups[-1][0] <= _EDGE_SLACK:
            groups[-1].append(edge)
        else:
            groups.append([edge])
    counted = sorted(groups, key=lambda g: (-len(g), g[0]))
    found = [g[0] for g in counted if len(g) >= 2 and g[0] > leftmost + _EDGE_SLACK]
    led = [g[0] for g in groups if any(abs(g[0] - k) <= _EDGE_SLACK for k in known) and g[0] > leftmost + _EDGE_SLACK]
    return list(dict.fromkeys([*led, *found[:_MAX_CANDIDATES]]))


def _cut_at(edge: float, segments: list[Segment], rules: Sequence[Rule], is_known: bool) -> _Cut:
    """Cut the segments into bands at those that cross the gutter."""
    crossing = [s for s in segments if s.x0 < edge - 1 and s.x1 > edge - _MIN_GUTTER]
    crossing_ids = {id(s) for s in crossing}
    beside = [s for s in segments if id(s) not in crossing_ids]
    titles = _titles_between(edge, beside)
    spanning = crossing + titles
    spanning_ids = {id(s) for s in spanning}
    rest = sorted((s for s in segments if id(s) not in spanning_ids), key=lambda s: (-s.y, s.x0))
    walls = sorted(spanning, key=lambda s: -s.y)
    bands: list[tuple[bool, list[Segment], list[Segment]]] = []
    gain, place = 0, 0
    across: list[Segment] = []
    for wall in [*walls, None]:
        inside: list[Segment] = []
        while place < len(rest) and (wall is None or rest[place].y > wall.y + 0.3 * wall.size):
            inside.append(rest[place])
            place += 1
        if inside:
            left = [s for s in inside if s.x0 < edge - 1]
            right = [s for s in inside if s.x0 >= edge - 1]
            if left and right and _are_columns(edge, left, right, rules, is_known):
                if across:
                    bands.append((False, across, []))
                    across = []
                bands.append((True, left, right))
                gain += len(inside)
            else:
                across.extend(inside)
        if wall is not None:
            across.append(wall)
    if across:
        bands.append((False, across, []))
    return _Cut(edge, bands, gain)


def _titles_between(edge: float, segments: list[Segment]) -> list[Segment]:
    """Return large lines that stand beside nothing: a short heading over both columns."""
    if not segments:
        return []
    usual = median(s.size for s in segments)
    titles: list[Segment] = []
    for title in (s for s in segments if s.size >= 1.25 * usual and s.x0 < edge - 1):
        opposite = [s for s in segments if s.x0 >= edge - 1]
        low, high = title.bottom - 0.3 * title.size, title.top + 0.3 * title.size
        if (
            not any(s.bottom < high and s.top > low for s in opposite)
            and any(s.bottom >= high for s in opposite)
            and any(s.top <= low for s in opposite)
        ):
            titles.append(title)
    return titles


def _are_columns(edge: float, left: list[Segment], right: list[Segment], rules: Sequence[Rule], is_known: bool) -> bool:
    """
    Tell whether two sides are columns of text rather than columns of a table.

    Evidence, in this order: strokes across the gutter (table); too little text; the drawing order; lines that begin
    in the middle of a sentence on both sides (text); long lines on both sides.
    """
    lines = (rows_by_baseline(left), rows_by_baseline(right))
    counts = [len(side) for side in lines]
    if _has_table_rules(edge, left + right, rules):
        return False
    words = [fmean(sum(len(s.text.split()) for s in row) for row in side) for side in lines]
    if is_known and min(words) >= 2 and _overlap(left, right):
        return True
    if min(counts) < 2 or sum(counts) < 5 or min(words) < 2 or not _overlap(left, right):
        return False
    runs = _runs(edge, left + right)
    if len(runs) == 2 and min(counts) >= 3:
        return True
    if _are_cells(runs):
        return False
    lowercase = [_share_mid_sentence(side) for side in lines]
    return min(lowercase) >= 0.35 or (min(words) >= 5 and max(lowercase) >= 0.35)


def _overlap(left: list[Segment], right: list[Segment]) -> bool:
    """Tell whether the two sides stand beside each other at all."""
    low = max(min(s.bottom for s in left), min(s.bottom for s in right))
    high = min(max(s.top for s in left), max(s.top for s in right))
    return high > low


def _has_table_rules(edge: float, segments: list[Segment], rules: Sequence[Rule]) -> bool:
    top, bottom = max(s.top for s in segments), min(s.bottom for s in segments)
    margin = 1.5 * median(s.size for s in segments)
    heights = sorted(r.y for r in rules if r.x0 < edge - 10 and r.x1 > edge + 10)
    heights += sorted(  # a grid is drawn cell by cell in some files: pieces that meet at the gutter
        {
            round(a.y)
            for a in rules
            for b in rules
            if abs(a.y - b.y) < 1 and abs(a.x1 - b.x0) < 2 and edge - 15 <= a.x1 <= edge
        }
        if len(rules) < 400
        else ()
    )
    near = [y for y in heights if bottom - margin <= y <= top + margin]
    return len(near) >= 2 and any(bottom < y < top for y in near)


def _runs(edge: float, segments: list[Segment]) -> list[list[Segment]]:
    """Return the stretches of the drawing order that stay on one side."""
    runs: list[list[Segment]] = []
    side: bool | None = None
    for segment in sorted(segments, key=lambda s: s.order):
        if (segment.x0 < edge - 1) is not side:
            runs.append([])
            side = segment.x0 < edge - 1
        runs[-1].append(segment)
    return runs


def _are_cells(runs: list[list[Segment]]) -> bool:
    """Tell whether the runs are drawn cell by cell: several lines each, neighbours beginning at one height."""
    if len(runs) < 4 or sum(len(rows_by_baseline(run)) for run in runs) < 1.3 * len(runs):
        return False
    tops = [max(s.y for s in run) for run in runs]
    return sum(abs(a - b) < 3 for a, b in zip(tops[::2], tops[1::2], strict=False)) >= len(runs) // 2 - 1


def _share_mid_sentence(rows: list[list[Segment]]) -> float:
    """Return the share of rows (but the first) that begin with a small letter, as running text does."""
    later = rows[1:] or rows
    return sum(row[0].text[:1].islower() for row in later) / len(later)


def rows_of(region: Region) -> list[list[Segment]]:
    """Return the rows of a region from the top, each from left to right."""
    return rows_by_baseline(list(region.segments))


def leading_of(rows: Sequence[Sequence[Segment]]) -> float:
    """Return the usual distance between baselines of neighbouring rows, 1.2 em where there is no pair."""
    gaps = [a[0].y - b[0].y for a, b in pairwise(rows) if abs(a[0].size - b[0].size) < 0.6]
    usual = [g for g in gaps if 0 < g < 3 * max(row[0].size for row in rows)]
    if usual:
        return median(sorted(usual)[: max(1, (len(usual) + 1) // 2 + 1)])
    return 1.2 * rows[0][0].size if rows else 12.0
