"""How each process of an installation works: mode, rates, lag, losses, and what a person should know now.

examples:
  weir status                                            the installation of this user on this machine
  weir status --hub 'http://10.0.0.5:8899/?token=…'      another one, by the URL that its hub prints
  weir status -o json
"""

from __future__ import annotations

import argparse
import asyncio
import json
from typing import Any

from weir.cli.args import Parser, one_of
from weir.cli.client import add_hub, connect
from weir.cli.commands.targets import rates
from weir.cli.flags import add_common
from weir.cli.render.text import safe, size

USAGE = "weir status [options]"


def add_arguments(parser: Parser) -> None:
    group = parser.add_argument_group("output")
    group.add_argument("-o", "--output", type=one_of("--output", ("text", "json")), metavar="FORMAT", default="text",
                       help="text or json [text]")
    add_hub(parser)
    add_common(parser)


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
    target = health["target"]
    wanted = target.get("now") or ", ".join(target.get("targets", [])) or "nothing"
    out = [f"weir is {health['verdict']}; targeted: {safe(wanted)}; archive: {safe(health.get('archive', ''))}"]
    out += [f"  {safe(text)}" for text in [target.get("says", ""), *health["says"]] if text]
    if selecting := sorted({text for one in health["processes"] for text in _selecting(one)}):
        out += [f"  selection in the kernel: {safe(text)}" for text in selecting]
    if nodes := health.get("nodes"):
        out += ["", *rates(nodes, "node")]
    for process in health["processes"]:
        out += ["", *_process(process)]
    return out


def _selecting(process: dict[str, Any]) -> list[str]:
    """How a capture process filters."""
    return [str(process["mode"][part]) for part in ("capture.filter",) if part in process["mode"]]


def _process(process: dict[str, Any]) -> list[str]:
    spent = f"{process['cpu_s']:.1f} s CPU in {process['uptime_s']:.0f} s, {size(process['rss_bytes'])} resident"
    out = [f"{safe(process['process'])}  {process['state']}  {spent}"]
    out += [f"  {safe(part)}: {safe(text)}" for part, text in sorted(process["mode"].items())]
    out += [f"  {safe(name)}: {rate:,.1f}/s" for name, rate in sorted(process["rates"].items()) if rate]
    out += [f"  behind on {safe(topic)}: {n:,}" for topic, n in sorted(process["lag"].items()) if n]
    out += [f"  LOST {safe(reason)}: {n:,}" for reason, n in sorted(process["lost"].items())]
    out += [f"  note: {safe(note)}" for note in process["notes"]]
    return out
