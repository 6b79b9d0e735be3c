"""How many cores this process may use. Knows nothing else."""

from __future__ import annotations

import os


def n_cores() -> int:
    """Return how many, as the process may be held to some; all of the machine's where the system can't tell."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
