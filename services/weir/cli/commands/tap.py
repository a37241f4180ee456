"""Follow live entries of a hub in this terminal, until ^C."""

from __future__ import annotations

import argparse
import asyncio
import sys
from typing import Any

import aiohttp
import msgspec

from weir.cli.client import Hub, add_hub, connect
from weir.cli.render.entries import FORMATS, Renderer, renderer, wants_color
from weir.cli.render.text import safe


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_hub(parser)
    parser.add_argument("--protocol", action="append", default=[], help="only this protocol (may be repeated)")
    parser.add_argument("--text", default="", help="only entries in which this text occurs")
    parser.add_argument("-o", "--output", choices=FORMATS, default="table")
    parser.add_argument("--color", choices=("auto", "always", "never"), default="auto")
    parser.add_argument("--limit", type=int, default=0, metavar="N", help="end after N entries")


def run(args: argparse.Namespace) -> int:
    render = renderer(args.output, sys.stdout, wants_color(args.color, sys.stdout))
    seen = Seen()
    try:
        asyncio.run(_follow(args, render, seen))
    except KeyboardInterrupt:
        pass
    print(f"weir: {seen.shown:,} entries shown, {seen.missed:,} missed", file=sys.stderr)
    return 0


class Seen:
    """What the summary at the end tells."""

    shown = 0
    missed = 0


async def _follow(args: argparse.Namespace, render: Renderer, seen: Seen) -> None:
    async with connect(args) as hub:
        await _warn(hub)
        params = {"format": "json", "text": args.text, "protocol": ",".join(args.protocol)}
        async with hub.tail({k: v for k, v in params.items() if v}) as socket:
            async for message in socket:
                if message.type != aiohttp.WSMsgType.TEXT:
                    continue
                if _show(msgspec.json.decode(message.data), render, seen, args.limit):
                    return


def _show(told: dict[str, Any], render: Renderer, seen: Seen, limit: int) -> bool:
    """Render one message of the hub; True when the limit is reached."""
    if missed := told.get("missed"):
        seen.missed += missed
        print(f"weir: {missed:,} entries missed: this reader is too slow", file=sys.stderr)
    for entry in told.get("entries", []):
        render.entry(entry)
        seen.shown += 1
        if limit and seen.shown >= limit:
            sys.stdout.flush()
            return True
    sys.stdout.flush()
    return False


async def _warn(hub: Hub) -> None:
    health = await hub.get("/api/v1/health")
    for text in [health["target"].get("says", ""), *health["says"], *(loss["says"] for loss in health["losses"])]:
        if text:
            print(f"weir: {safe(str(text))}", file=sys.stderr)
