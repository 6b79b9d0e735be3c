"""
How many requests are under way, and how long one may take. Plain ASGI around the routes; knows no question.

A request beyond what threads and queue hold is refused at once: whoever waits is better told to come back than kept in
a line that never ends. A request whose thread hangs gets its error in time; the thread keeps its place, so that a fault
that hangs every thread ends in quick refusals and not in more and more threads.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ingest.errors import AppError
from service.errors import TimedOut, TooBusy

# Answered whatever else goes on: whoever runs the service must see how it fares.
NEVER_LIMITED = frozenset(("/v1/health", "/v1/health/live", "/v1/health/ready", "/metrics"))
# A large upload takes minutes on a slow line, a stream of events as long as a build; a token was asked for before.
ADMIN_PREFIX = "/v1/admin/"
_RETRY_SOON_S = 1
_RETRY_LATER_S = 5

RenderFailure = Callable[[Request, AppError], Response]


class Places:
    """The places that requests take in one process, in a thread or waiting for one. Of the event loop's thread."""

    def __init__(self, most: int) -> None:
        self._most = most
        self.n_taken = 0

    def take(self) -> Callable[[], None]:
        """
        Take a place; returns how to give it back, which may be called more than once.

        Raises:
            TooBusy: all are taken.
        """
        if self.n_taken >= self._most:
            raise TooBusy(
                "more questions are under way than this service answers at a time",
                fix=f"ask again in {_RETRY_SOON_S} second",
                headers={"retry-after": str(_RETRY_SOON_S)},
            )
        self.n_taken += 1
        is_held = True

        def give_back() -> None:
            nonlocal is_held
            if is_held:
                self.n_taken -= 1
                is_held = False

        return give_back

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Hold a place for the length of a block. Raises TooBusy."""
        give_back = self.take()
        try:
            yield
        finally:
            give_back()


class Admission:
    """
    Gives every GET a place and every request a time limit; a question takes its place once its body is there.

    The place is held until the response starts: what is streamed afterwards needs no thread.
    """

    def __init__(self, app: ASGIApp, places: Places, timeout_s: float, render: RenderFailure) -> None:
        self._app = app
        self._places = places
        self._timeout_s = timeout_s
        self._render = render

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        if scope["type"] != "http" or scope["path"] in NEVER_LIMITED or scope["path"].startswith(ADMIN_PREFIX):
            await self._app(scope, receive, send)
            return
        if scope["method"] != "GET":
            await self._in_time(self._app, scope, receive, send)
            return
        try:
            give_back = self._places.take()
        except TooBusy as error:
            await self._render(Request(scope), error)(scope, receive, send)
            return

        async def held(scope: Scope, receive: Receive, send: Send) -> None:
            async def send_on(message: Message) -> None:
                give_back()
                await send(message)

            try:
                await self._app(scope, receive, send_on)
            finally:
                give_back()

        await self._in_time(held, scope, receive, send)

    async def _in_time(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the request; where it has sent nothing in time, send an error and leave it to itself."""
        has_started = is_given_up = False

        async def send_on(message: Message) -> None:
            nonlocal has_started
            if not is_given_up:
                has_started = True
                await send(message)

        task = asyncio.ensure_future(_run(app, scope, receive, send_on))
        try:
            await asyncio.wait({task}, timeout=self._timeout_s)
            if task.done() or has_started:
                await task
                return
        except asyncio.CancelledError:
            task.cancel()
            raise
        is_given_up = True
        # Nobody waits for it any more; its failure, if it fails, has been answered.
        task.add_done_callback(lambda done: done.cancelled() or done.exception())
        error = TimedOut(
            f"no answer within {self._timeout_s:g} seconds",
            fix="ask again; if it stays, give the request id to whoever runs this service",
            headers={"retry-after": str(_RETRY_LATER_S)},
        )
        await self._render(Request(scope), error)(scope, receive, send)


def _run(app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
    return app(scope, receive, send)
