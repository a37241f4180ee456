"""A rule that is leased to this terminal: renewed while it is looked at, and gone soon afterwards."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator
from typing import Any

from weir.cli.client import Hub
from weir.cli.commands.targets import added
from weir.cli.wish import RULES, Wish, author, path_of
from weir.errors import WeirError

LEASE_S = 60
RENEW_S = 20
GIVE_UP_S = 5.0
"""So long the end waits for the hub to remove the rule."""


@contextlib.asynccontextmanager
async def leased(hub: Hub, wish: Wish, keep: bool) -> AsyncIterator[None]:
    """Inside the block the rule is in force; afterwards it is removed, unless it is to stay."""
    if not wish:
        yield
        return
    body = wish | {"author": author(), "for_s": 0 if keep else LEASE_S}
    _tell(await hub.post(RULES, body))
    if keep:
        yield
        return
    renewing = asyncio.ensure_future(_renew(hub, body))
    try:
        yield
    finally:
        renewing.cancel()
        await asyncio.gather(renewing, return_exceptions=True)
        # A hub that is gone cannot be asked any more: the lease ends by itself.
        with contextlib.suppress(WeirError, TimeoutError):
            async with asyncio.timeout(GIVE_UP_S):
                await hub.delete(path_of(str(wish["name"])))


async def _renew(hub: Hub, body: Wish) -> None:
    """Keep the lease, and tell when the rule selects something where it selected nothing, or the reverse."""
    selects: bool | None = None
    while True:
        await asyncio.sleep(RENEW_S)
        try:
            state = await hub.post(RULES, body)
        except WeirError as error:
            say(f"the rule could not be renewed, and ends soon: {error.message}")
            continue
        if selects is not None and selects != bool(state["pods"]):
            _tell(state)
        selects = bool(state["pods"])


def _tell(state: dict[str, Any]) -> None:
    for line in added(state):
        say(line)
    if not state["pods"] and not state["rule"].get("target"):
        say("nothing is selected now; pods that come and fit are shown (`weir targets preview` tries other rules)")


def say(text: str) -> None:
    print(f"weir: {text}", file=sys.stderr)
