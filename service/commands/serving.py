"""`citewell serve`: one listening socket, one or more processes behind it, an orderly end."""

from __future__ import annotations

import ctypes
import ipaddress
import resource
import signal
import socket
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import structlog
from fastapi import FastAPI

from service.app import create_app
from service.environment import set_metrics_folder
from service.errors import SettingsInvalid
from service.guard import check_tokens
from service.http_server import BACKLOG, ServerConfig, run_here, run_workers
from service.logs import configure_logging
from service.metrics import Metrics, forget_process
from service.operator_files import OperatorFiles, open_files
from service.runtime import EncoderShelf, open_live
from service.settings import Settings

# glibc keeps what threads let go, in up to eight heaps a core, and the more the larger what they let go once was. With
# two heaps that give back what is over 1 MB, 400 mixed questions leave a process at the 350 to 360 MB that it had after
# 300; as it comes, anything between 390 and 510 was seen. Parameter and value, as mallopt(3) has them.
_HEAPS = ((-8, 2), (-1, 1 << 20), (-3, 1 << 20))  # M_ARENA_MAX, M_TRIM_THRESHOLD, M_MMAP_THRESHOLD


def bound_heaps() -> None:
    """Let this process give memory back; does nothing where the C library has no such switch."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        for parameter, value in _HEAPS:
            mallopt(parameter, value)


def run_serve(settings: Settings) -> int:
    """Serve until SIGTERM or SIGINT; requests under way are finished first. Returns the exit code."""
    configure_logging(settings.log_level)
    # A dump of memory would hold what was being asked when the process crashed; worker processes inherit this.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    check_tokens(settings)
    files = open_files(settings)  # refused now rather than at the first question
    listening = _listen(settings.host, settings.port)
    host, port = listening.getsockname()[:2]
    structlog.get_logger("citewell.serve").info(
        "listening",
        url=f"http://{f'[{host}]' if ':' in host else host}:{port}",
        index_dir=str(settings.index_dir),
        workers=settings.workers,
    )
    if (settings.admin_tokens or settings.read_tokens) and not _is_loopback(host):
        structlog.get_logger("citewell.serve").warning(
            "tokens_need_tls",
            host=host,
            fix="put a proxy with TLS in front: over plain HTTP tokens can be read on the way",
        )
    with listening, _metrics_folder(settings) as folder:
        config = ServerConfig(
            partial(make_app, settings, files, folder),
            workers=settings.workers,
            head_timeout_s=settings.body_timeout_s,
            request_timeout_s=settings.request_timeout_s,
            drain_s=settings.drain_s,
        )
        if settings.workers == 1:
            _end_with_zero()
            run_here(config, listening)
        else:
            run_workers(config, listening, partial(forget_process, folder))
    return 0


def _is_loopback(host: str) -> bool:
    return ipaddress.ip_address(host.partition("%")[0]).is_loopback


def make_app(settings: Settings, files: OperatorFiles | None = None, metrics_folder: str | None = None) -> FastAPI:
    """
    Make the application of one serving process; worker processes start here.

    Args:
        files: what the first process read of the operator's files; None reads them now.
        metrics_folder: where the processes put their figures together; None for a single one.
    """
    configure_logging(settings.log_level)
    bound_heaps()
    files = files or open_files(settings)
    encoders = EncoderShelf(settings.index_dir, settings.query_encoder)
    metrics = Metrics(metrics_folder) if settings.metrics else None
    return create_app(settings, open_live(settings, encoders, files), encoders, files, metrics)


@contextmanager
def _metrics_folder(settings: Settings) -> Iterator[str | None]:
    """Give several processes a folder for their figures, which is gone when they are."""
    if not settings.metrics or settings.workers == 1:
        set_metrics_folder(None)
        yield None
        return
    try:
        temporary = tempfile.TemporaryDirectory(prefix="citewell-metrics-")
    except OSError as error:
        fix = "let TMPDIR name a folder that can be written, or switch `metrics` off"
        raise SettingsInvalid(
            f"metrics of several workers need a temporary folder ({error.strerror})", where="metrics", fix=fix
        ) from error
    with temporary as folder:
        set_metrics_folder(folder)
        yield folder


def _end_with_zero() -> None:
    # uvicorn takes the signals over while it runs and raises them again once it has ended in order. With these in
    # place a process that was asked to end exits with 0, before, while and after it serves.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))


def _listen(host: str, port: int) -> socket.socket:
    """Open the listening socket before the index, so that a taken port is said at once and plainly."""
    where, fix = f"{host}:{port}", "set `host` to an address of this machine and `port` to a free one"
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listening = socket.socket(family, kind, protocol)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        # Whoever connects while the index is being opened waits for a moment instead of being refused.
        listening.listen(BACKLOG)
    except OSError as error:
        raise SettingsInvalid(f"can't listen ({error.strerror})", where=where, fix=fix) from error
    listening.set_inheritable(True)
    return listening
