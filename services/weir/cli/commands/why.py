"""Why the traffic of a pod is shown, or is not.

It is not targeted (and which rule would), excluded, sampled out, lost (where), in TLS that cannot be read, on a path
that its host cannot see, or nothing was sent.

examples:
  weir why checkout-7d4f9c-x2x7k -n prod
  weir why prod/checkout-7d4f9c-x2x7k -o json

The exit code is 0 whatever the answer is; scripts read `verdict` with -o json.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from typing import Any

from weir.cli.args import Parser, one_of
from weir.cli.client import add_hub, connect
from weir.cli.flags import add_common
from weir.cli.render.text import safe
from weir.errors import SettingsError

USAGE = "weir why POD [-n NAMESPACE] [options]"


def add_arguments(parser: Parser) -> None:
    add = parser.add_argument_group("which pod").add_argument
    add("pod", nargs="?", default="", metavar="POD", help="name of the pod, or NAMESPACE/NAME")
    add("-n", "--namespace", default="", metavar="NS", help="its namespace [the one that has such a pod]")
    add = parser.add_argument_group("output").add_argument
    add("-o", "--output", type=one_of("--output", ("text", "json")), metavar="FORMAT", default="text",
        help="text or json [text]")
    add_hub(parser)
    add_common(parser)


def run(args: argparse.Namespace) -> int:
    if not args.pod:
        raise SettingsError("no pod is named", hint="weir why POD -n NAMESPACE")
    if args.namespace and "/" in args.pod:
        raise SettingsError("a namespace twice", hint="weir why POD -n NAMESPACE, or weir why NAMESPACE/POD")
    told = asyncio.run(_ask(args))
    print(json.dumps(told) if args.output == "json" else "\n".join(lines(told)))
    return 0


async def _ask(args: argparse.Namespace) -> dict[str, Any]:
    pod = f"{args.namespace}/{args.pod}" if args.namespace else args.pod
    async with connect(args) as hub:
        return dict(await hub.get("/api/v1/why", {"pod": pod}))


def lines(told: dict[str, Any]) -> list[str]:
    """The answer of `/api/v1/why` as text."""
    verdict = str(told["verdict"]).replace("_", " ")
    out = [f"{safe(told['pod'])}: {safe(verdict)}", f"  {safe(told['says'])}"]
    if told.get("hint"):
        out.append(f"  hint: {safe(told['hint'])}")
    known = [f"{part} {told[part]}" for part in ("node", "workload") if told.get(part)]
    if told.get("rules"):
        known.append("targeted by " + ", ".join(told["rules"]))
    if known:
        out.append(f"  {safe('; '.join(known))}")
    if told.get("seen", {}).get("hidden"):
        out.append(f"  {told['seen']['hidden']:,} probes or views in front of a service are left out of lists")
    return out + [f"  also: {safe(text)}" for text in told.get("also", [])]
