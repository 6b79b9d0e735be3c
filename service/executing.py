"""Which executor does a build's work, by the settings. Starts none."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from index.executor import BuildExecutor, LocalExecutor
from service.settings import Settings


def executor_maker(settings: Settings) -> Callable[[], BuildExecutor]:
    """
    Return what starts the executor of the settings; each build starts one of its own.

    Raises:
        ExtraMissing: it is Ray, and that is not installed.
    """
    if settings.executor != "ray":
        return LocalExecutor
    from index.ray_executor import RayExecutor, import_ray

    import_ray(settings.ray_address)
    return partial(RayExecutor, settings.ray_address)
