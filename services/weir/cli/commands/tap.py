"""Follow live entries of a hub in this terminal, until ^C.

examples:
  weir tap                                          what the hub of this user on this machine sees
  weir tap --protocol http --text checkout          only HTTP that mentions checkout
  weir tap --hub 'http://10.0.0.5:8899/?token=…'    another hub, by the URL that it prints
  weir tap -o json --limit 100 | jq .path           100 entries, one a line
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from typing import Any

import aiohttp
import msgspec

from weir.cli.args import Parser, count
from weir.cli.client import Hub, add_hub, connect
from weir.cli.flags import add_common, add_output
from weir.cli.interrupt import interruptible
from weir.cli.render.entries import Renderer, renderer, wants_color
from weir.cli.render.text import safe
from weir.errors import HubError

USAGE = "weir tap [options]"


def add_arguments(parser: Parser) -> None:
    group = parser.add_argument_group("which entries")
    group.add_argument("--protocol", action="append", default=[], metavar="P",
                       help="only this protocol (may be repeated)")
    group.add_argument("--text", default="", help="only entries in which this text occurs")
    group.add_argument("--limit", type=count("--limit"), default=0, metavar="N", help="end after N entries")
    add_output(parser)
    add_hub(parser)
    add_common(parser)


def run(args: argparse.Namespace) -> int:
    render = renderer(args.output, sys.stdout, wants_color(args.color, sys.stdout))
    seen = Seen()
    try:
        asyncio.run(_follow(args, render, seen))
    finally:
        if seen.tapped:
            print(seen.summary(), file=sys.stderr)
    return 0


class Seen:
    """What the summary at the end tells."""

    tapped = False
    shown = 0
    matched = 0
    missed = 0

    def summary(self) -> str:
        lines = [f"weir: {self.shown:,} entries shown"]
        if self.missed:
            lines.append(f"{self.missed:,} missed: this reader was too slow")
        if (left_out := self.matched - self.shown - self.missed) > 0:
            lines.append(f"{left_out:,} left out: more than the rate that is shown")
        return "; ".join(lines)


async def _follow(args: argparse.Namespace, render: Renderer, seen: Seen) -> None:
    """Until ^C, the limit, or the end of the hub."""
    stop = asyncio.Event()
    with interruptible(stop):
        following = asyncio.ensure_future(_show_all(args, render, seen))
        stopped = asyncio.ensure_future(stop.wait())
        try:
            await asyncio.wait({following, stopped}, return_when=asyncio.FIRST_COMPLETED)
            if following.done():
                following.result()
        finally:
            following.cancel()
            stopped.cancel()
            await asyncio.gather(following, stopped, return_exceptions=True)


async def _show_all(args: argparse.Namespace, render: Renderer, seen: Seen) -> None:
    async with connect(args) as hub:
        await _warn(hub)
        params = {"format": "json", "text": args.text, "protocol": ",".join(args.protocol)}
        async with hub.tail({k: v for k, v in params.items() if v}) as socket:
            async for message in socket:
                if message.type != aiohttp.WSMsgType.TEXT:
                    continue
                if not seen.tapped:
                    seen.tapped = True
                    print(f"weir: following {hub.base}; ^C ends", file=sys.stderr)
                if _show(msgspec.json.decode(message.data), render, seen, args.limit):
                    return
    raise HubError(f"the hub at {hub.base} ended the connection", hint="`weir status` tells whether it still runs")


def _show(told: dict[str, Any], render: Renderer, seen: Seen, limit: int) -> bool:
    """Render one message of the hub; True when the limit is reached."""
    if told.get("type") == "error":
        raise HubError(f"the hub refuses: {told.get('error')}", hint=str(told.get("hint", "")))
    seen.missed += told.get("missed", 0)
    seen.matched += told.get("matched", 0)
    for entry in told.get("entries", []):
        render.entry(entry)
        seen.shown += 1
        if limit and seen.shown >= limit:
            sys.stdout.flush()
            seen.matched = seen.shown + seen.missed
            return True
    sys.stdout.flush()
    return False


async def _warn(hub: Hub) -> None:
    health = await hub.get("/api/v1/health")
    for text in [health["target"].get("says", ""), *health["says"], *(loss["says"] for loss in health["losses"])]:
        if text:
            print(f"weir: {safe(str(text))}", file=sys.stderr)
