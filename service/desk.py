"""
Where questions are taken in: first the client's rate limit, then a place, then a thread. Knows no route, reads no body.
"""

from __future__ import annotations

from collections.abc import Callable

import anyio.to_thread
from starlette.datastructures import Address
from starlette.responses import Response

from service.admission import Places
from service.errors import RateLimited
from service.rate_limit import RateLimiter


class Desk:
    """
    Serves questions in threads, within the operator's limits.

    Args:
        limiter: None counts nobody.
    """

    def __init__(self, places: Places, limiter: RateLimiter | None) -> None:
        self._places = places
        self._limiter = limiter

    async def serve(self, client: Address | None, work: Callable[[], Response]) -> Response:
        """
        Run one question's work in a thread and return its response, with what is left of the client's allowance.

        Raises:
            RateLimited: this client asked too often. TooBusy: there is no place. And what `work` raises.
        """
        allowance = self._limiter.ask(client.host if client else None) if self._limiter else None
        if allowance is not None and not allowance.is_allowed:
            raise RateLimited(
                f"more than {allowance.limit} questions in {allowance.window_s} seconds from one address",
                fix=f"ask again in {allowance.reset_s} seconds",
                headers=allowance.headers(),
            )
        with self._places.taken():
            response = await anyio.to_thread.run_sync(work)
        if allowance is not None:
            response.headers.update(allowance.headers())
        return response
