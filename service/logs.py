"""
Log lines: one JSON object each, on standard error. Sets logging up when told to; decides not what is logged.

A line never holds the text of an exception, which may quote a question: only its type and where it came from.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

from service.problems import frames_of

EventDict = MutableMapping[str, Any]


def configure_logging(level: str = "info") -> None:
    """Send structlog's and the libraries' lines to standard error as JSON, at this level and above."""
    shared: list[structlog.types.Processor] = [
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                strip_exception,
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(ensure_ascii=True),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    # Libraries may say what goes wrong and no more: an HTTP client's ordinary lines, for one, hold addresses.
    root.setLevel(max(logging.WARNING, logging.getLevelNamesMapping()[level.upper()]))
    for name in ("citewell", "uvicorn"):
        logging.getLogger(name).setLevel(level.upper())
    logging.captureWarnings(True)
    # Client addresses and paths; our own line per request has neither.
    logging.getLogger("uvicorn.access").disabled = True


def strip_exception(logger: object, name: str, event: EventDict) -> EventDict:  # noqa: ARG001  structlog's signature
    """Replace an exception by its type and frames, and drop everything after the first line of a library's message."""
    found = event.pop("exc_info", None)
    event.pop("stack_info", None)
    error = found[1] if isinstance(found, tuple) else sys.exc_info()[1] if found is True else found
    if isinstance(error, BaseException):
        event["error"] = type(error).__name__
        event["frames"] = frames_of(error)
    # asyncio appends the repr of a failed task, which ends with the exception's text.
    event["event"] = str(event.get("event", "")).partition("\n")[0]
    return event
