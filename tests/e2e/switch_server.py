"""
`citewell serve` whose workers can be killed at a moment of a switch; test_switch_faults.py runs it.

A file `kill-at` in the working directory names the moment; the first worker that comes to it deletes the file and dies.
Worker processes import this file anew, and so have the same traps.
"""

from __future__ import annotations

import functools
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

from index import live
from service.cli import main

TRAP = Path("kill-at")


def fall(moment: str) -> None:
    """Die here, if this is the moment and no other worker was faster."""
    try:
        if TRAP.read_text() == moment:
            TRAP.unlink()
            os.kill(os.getpid(), signal.SIGKILL)
    except FileNotFoundError:
        pass


def trapped(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function with a trap before and behind it."""

    @functools.wraps(function)
    def run(*args: Any, **kwargs: Any) -> Any:
        fall(f"{name} begin")
        result = function(*args, **kwargs)
        fall(f"{name} end")
        return result

    return run


live.open_snapshot = trapped("open", live.open_snapshot)
live.LiveSnapshot._prepare = trapped("warm", live.LiveSnapshot._prepare)  # type: ignore[method-assign]
live.LiveSnapshot._replace = trapped("replace", live.LiveSnapshot._replace)  # type: ignore[method-assign]

if __name__ == "__main__":
    main()
