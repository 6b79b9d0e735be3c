"""`citewell serve`: one listening socket, one or more processes behind it, an orderly end."""

from __future__ import annotations

import ipaddress
import signal
import socket
import sys
from functools import partial

import structlog
import uvicorn
from fastapi import FastAPI
from uvicorn.supervisors import Multiprocess

from service.app import create_app
from service.errors import SettingsInvalid
from service.guard import check_tokens
from service.lexicon import open_lexicon
from service.logs import configure_logging
from service.runtime import EncoderShelf, board_for, open_live
from service.settings import Settings

# A request takes milliseconds; whoever needs longer to send one is not waited for.
_GRACE_S = 5
_BACKLOG = 512


def run_serve(settings: Settings) -> int:
    """Serve until SIGTERM or SIGINT; requests under way are finished first. Returns the exit code."""
    configure_logging(settings.log_level)
    check_tokens(settings)
    board_for(settings)
    open_lexicon(settings.lexicon)  # refused now rather than at the first question
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
    config = uvicorn.Config(
        partial(make_app, settings),
        factory=True,
        workers=settings.workers,
        # Its lines hold addresses and paths; `service.edge` writes one without.
        access_log=False,
        log_config=None,
        server_header=False,
        ws="none",
        lifespan="on",
        timeout_graceful_shutdown=_GRACE_S,
        backlog=_BACKLOG,
    )
    with listening:
        if settings.workers == 1:
            _run_here(config, listening)
        else:
            Multiprocess(config, sockets=[listening]).run()
    return 0


def _is_loopback(host: str) -> bool:
    return ipaddress.ip_address(host.partition("%")[0]).is_loopback


def make_app(settings: Settings) -> FastAPI:
    """Make the application of one serving process; worker processes start here."""
    configure_logging(settings.log_level)
    encoders = EncoderShelf(settings.index_dir)
    return create_app(settings, open_live(settings, encoders), encoders)


def _run_here(config: uvicorn.Config, listening: socket.socket) -> None:
    # uvicorn takes the signals over while it runs and raises them again once it has ended in order. With these in
    # place a process that was asked to end exits with 0, before, while and after it serves.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))
    uvicorn.Server(config).run(sockets=[listening])


def _listen(host: str, port: int) -> socket.socket:
    """Open the listening socket before the index, so that a taken port is said at once and plainly."""
    where, fix = f"{host}:{port}", "set `host` to an address of this machine and `port` to a free one"
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listening = socket.socket(family, kind, protocol)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        # Whoever connects while the index is being opened waits for a moment instead of being refused.
        listening.listen(_BACKLOG)
    except OSError as error:
        raise SettingsInvalid(f"can't listen ({error.strerror})", where=where, fix=fix) from error
    listening.set_inheritable(True)
    return listening
