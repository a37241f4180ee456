"""How each process of an installation works: mode, rates, lag, losses, and what a person should know now."""

from __future__ import annotations

import argparse
import asyncio
import json
from typing import Any

from weir.cli.client import add_hub, connect
from weir.cli.render.text import safe, size


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_hub(parser)
    parser.add_argument("-o", "--output", choices=("text", "json"), default="text")


def run(args: argparse.Namespace) -> int:
    health = asyncio.run(_health(args))
    if args.output == "json":
        print(json.dumps(health))
    else:
        print("\n".join(lines(health)))
    return 0


async def _health(args: argparse.Namespace) -> dict[str, Any]:
    async with connect(args) as hub:
        return dict(await hub.get("/api/v1/health"))


def lines(health: dict[str, Any]) -> list[str]:
    """The document of `/api/v1/health` as text."""
    out = [f"{health.get('verdict', 'unknown')}  {safe(str(health.get('summary', '')))}".rstrip()]
    for process in health.get("processes", []):
        out.append("")
        state = process.get("state", "")
        out.append(
            f"{safe(process['process'])}  [{', '.join(process['stages'])}]  {state}  "
            f"{process.get('cpu_s', 0):.1f} s CPU, {size(process.get('rss_bytes', 0))} resident"
        )
        out += [f"  {safe(part)}: {safe(text)}" for part, text in sorted(process.get("mode", {}).items())]
        rates = {k: v for k, v in process.get("rates", {}).items() if v}
        out += [f"  {safe(name)}: {rate:,.1f}/s" for name, rate in sorted(rates.items())]
        out += [f"  behind on {safe(topic)}: {n:,}" for topic, n in sorted(process.get("lag", {}).items()) if n]
        out += [f"  LOST {safe(reason)}: {n:,}" for reason, n in sorted(process.get("lost", {}).items())]
        out += [f"  note: {safe(note)}" for note in process.get("notes", [])]
    return out
