"""
How commands speak: tables and progress bars on a terminal, stable plain lines elsewhere. Decides nothing.

Results go to standard output, everything else to standard error.
"""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from service.commands.pace import Pace
from service.commands.pace import shown as shown_pace

# What a terminal would obey: escape sequences in a document must not reach it. Line ends and tabs stay.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
# Phase, how many are done, how many there are (0: not known yet).
PhaseProgress = Callable[[str, int, int], None]
# What each phase of a build counts, and the other long commands.
_UNITS = {"read": "documents", "split": "documents", "embed": "passages", "verify": "documents", "asking": "questions"}


def print_json(value: object) -> None:
    """Write one JSON document."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False, indent=2) + "\n")


def print_line(text: str = "") -> None:
    """Write one line of a result; on a terminal without control characters."""
    sys.stdout.write((_CONTROL.sub("\N{REPLACEMENT CHARACTER}", text) if is_terminal() else text) + "\n")


def print_note(text: str) -> None:
    """Write a line, or several, that are no result."""
    sys.stderr.write(_CONTROL.sub("\N{REPLACEMENT CHARACTER}", text) + "\n")


def is_terminal() -> bool:
    """Tell whether a person reads standard output."""
    return sys.stdout.isatty()


def marked(text: str) -> str:
    """Return text as a terminal stresses it; unchanged where there is none."""
    return f"\x1b[1m{_CONTROL.sub(chr(0xFFFD), text)}\x1b[0m" if is_terminal() else text


def print_quote(parts: Sequence[tuple[str, bool]]) -> None:
    """Write quoted text, its stressed parts bold on a terminal."""
    if not is_terminal():
        sys.stdout.write("".join(text for text, _ in parts) + "\n")
        return
    shown = [marked(text) if stressed else _CONTROL.sub(chr(0xFFFD), text) for text, stressed in parts]
    sys.stdout.write("".join(shown) + "\n")


def print_table(header: Sequence[str], rows: Sequence[Sequence[str]], title: str = "") -> None:
    """Write a table; outside a terminal as lines of values with a tab between them."""
    if not is_terminal():
        if title:
            sys.stdout.write(f"# {title}\n")
        for row in (header, *rows):
            sys.stdout.write("\t".join(row) + "\n")
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(title=Text(title) if title else None, title_justify="left")
    for number, name in enumerate(header):
        table.add_column(name, justify="left" if number == 0 else "right", overflow="fold")
    for row in rows:
        table.add_row(*(Text(_CONTROL.sub("\N{REPLACEMENT CHARACTER}", value)) for value in row))
    Console(markup=False, highlight=False).print(table)


@contextmanager
def phase_progress() -> Iterator[PhaseProgress]:
    """Give what shows the progress of several phases: bars on a terminal, a line for each finished phase elsewhere."""
    if sys.stderr.isatty():
        with _bars() as bars:
            yield bars
    else:
        yield _Lines()


@contextmanager
def progress(name: str) -> Iterator[Callable[[int, int], None]]:
    """Give what shows the progress of one piece of work, as (done, in all)."""
    with phase_progress() as report:
        yield lambda done, total: report(name, done, total)


class _Lines:
    def __init__(self) -> None:
        self._said: set[str] = set()

    def __call__(self, phase: str, done: int, total: int) -> None:
        if total and done >= total and phase not in self._said:
            self._said.add(phase)
            sys.stderr.write(f"{phase}: {done}\n")


@contextmanager
def _bars() -> Iterator[PhaseProgress]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

    columns: tuple[Any, ...] = (
        TextColumn("{task.description:<8}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[pace]}", markup=False),
    )
    with Progress(*columns, console=Console(stderr=True)) as shown:
        tasks: dict[str, TaskID] = {}
        paces: dict[str, Pace] = {}

        def report(phase: str, done: int, total: int) -> None:
            if phase not in tasks:
                tasks[phase] = shown.add_task(phase, total=total or None, pace="")
                paces[phase] = Pace()
            paces[phase].report(time.monotonic(), done)
            left = "" if done >= total else shown_pace(paces[phase], total, _UNITS.get(phase, "documents"))
            shown.update(tasks[phase], completed=done, total=total or None, pace=left)

        yield report
