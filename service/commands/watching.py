"""`citewell build --watch`: the index follows the folder until the process is asked to end."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from threading import Event

from index.build import BuildConfig, BuildReport, build_index
from index.errors import WriterBusy
from index.model import PassageEmbedder
from ingest.errors import AppError
from ingest.library import corpus_state
from service.commands.output import PhaseProgress, phase_progress, print_line, print_note
from service.engines import opened_index
from service.problems import frames_of
from service.settings import Settings
from service.watching import BuildStopped, Outcome, changes_in, keep_built


def run_watch(
    settings: Settings,
    config: BuildConfig,
    embedder: PassageEmbedder,
    show: Callable[[BuildReport], None],
    *,
    as_json: bool,
) -> int:
    """
    Build, and build again whenever the corpus changed, until SIGTERM or SIGINT; returns the exit code 0.

    The model stays loaded. A failure is told and watching goes on. As JSON each report is one line.
    """
    stop = Event()
    busy_said = ""

    def build() -> Outcome:
        nonlocal busy_said
        try:
            with phase_progress() as shown, opened_index(settings) as index_dir:
                report = build_index(settings.corpus, index_dir, embedder, config, _stopping(shown, stop))
        except BuildStopped:
            return Outcome.STOPPED
        except WriterBusy as error:
            if str(error) != busy_said:
                print_note(f"{error}; trying again until it ends")
            busy_said = str(error)
            return Outcome.BUSY
        except AppError as error:
            print_note(f"failed: {error}")
        except Exception as error:  # noqa: BLE001  watching goes on; an exception's text may hold anything
            place = (frames_of(error)[-1:] or [""])[0]
            print_note(f"failed: {place}: something failed that should not ({type(error).__name__})")
        else:
            if as_json:
                print_line(json.dumps(asdict(report), ensure_ascii=False))
            else:
                show(report)
        busy_said = ""
        return Outcome.STOPPED if stop.is_set() else Outcome.DONE

    print_note(f"watching {settings.corpus}; end it with Ctrl-C")
    with _ended_by_signals(stop):
        wait = changes_in(settings.corpus, settings.index_dir, stop)
        keep_built(lambda: corpus_state(settings.corpus), build, wait, stop, print_note)
    return 0


def _stopping(shown: PhaseProgress, stop: Event) -> PhaseProgress:
    """Return a progress that ends the build once `stop` is set, as long as nothing of it is live."""

    def report(phase: str, done: int, total: int) -> None:
        shown(phase, done, total)
        is_live = phase == "tidy" or (phase == "publish" and done)
        if stop.is_set() and not is_live:
            raise BuildStopped

    return report


@contextmanager
def _ended_by_signals(stop: Event) -> Iterator[None]:
    def end(_number: int, _frame: object) -> None:
        stop.set()
        # Whoever asks again means it: killed anywhere, a build leaves the old snapshot live.
        for number, handler in before.items():
            signal.signal(number, handler)

    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        for number in before:
            signal.signal(number, end)
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
