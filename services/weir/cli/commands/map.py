"""Who calls whom: what the page's map shows, as a table, a Mermaid diagram or JSON.

From the hub's archive; with FILE the same of capture files. COUNT is of calls, and where no payload is read of
connections. The names are as good as what is known: services and workloads in a cluster, else addresses.

examples:
  weir map                                          services, the busiest pairs first
  weir map --group namespace --last 15m
  weir map --filter 'dst.namespace == "prod" && failed'  who is affected
  weir map capture.pcap --group pod                 addresses of a file
  weir map -o mermaid >map.mmd                      a diagram for a README or an incident report
  weir map -o json | jq '.edges[] | .filter'        the filter that selects each edge
"""

from __future__ import annotations

import argparse
import asyncio
import sys

from weir.cli.args import Parser, count, one_of
from weir.cli.client import add_hub
from weir.cli.conditions import add_entry_options, add_time_options, said
from weir.cli.files import add_file_options, add_file_settings
from weir.cli.flags import add_output
from weir.cli.lookup import looked_up
from weir.cli.render.entries import wants_color
from weir.cli.render.graph import WORD, document, lines, mermaid
from weir.cli.render.table import columns_of
from weir.cli.render.text import safe_json
from weir.hub.graph import GROUPINGS, MAX_EDGES, MapAnswer

USAGE = "weir map [FILE…] [--group GROUP] [options]"
FORMATS = ("table", "json", "mermaid")


def add_arguments(parser: Parser) -> None:
    add = parser.add_argument_group("what to draw").add_argument
    add("--group", type=one_of("--group", GROUPINGS), default="service", metavar="GROUP",
        help=f"{', '.join(GROUPINGS)} [service]")
    add("--limit", type=count("--limit"), default=400, metavar="N", help=f"edges at most, up to {MAX_EDGES} [400]")
    add_entry_options(parser, "which entries", limit=False)
    add_time_options(parser, "when", "only the last 15m, 2h, … (of a file: before its end)")
    group = add_output(parser, FORMATS, "table, json or mermaid")
    group.add_argument("-q", "--quiet", action="store_true", help="no words about what was read of files")
    add_file_options(parser, "of files instead of the hub", "capture files; - is the standard input")
    add_hub(parser)
    add_file_settings(parser)


def run(args: argparse.Namespace) -> int:
    told = asyncio.run(_ask(args))
    if args.output == "json":
        print(safe_json(document(told)))
    elif args.output == "mermaid":
        print(mermaid(told))
    elif told.edges:
        print("\n".join(lines(told, columns_of(sys.stdout), color=wants_color(args.color, sys.stdout))))
    sys.stdout.flush()
    _say(args, told)
    return 0


async def _ask(args: argparse.Namespace) -> MapAnswer:
    async with looked_up(args) as lookup:
        return await lookup.graph(args.group, min(args.limit or MAX_EDGES, MAX_EDGES))


def _say(args: argparse.Namespace, told: MapAnswer) -> None:
    if not told.edges:
        print("weir: nobody calls anybody; `weir map` without conditions tells what there is" if said(args)
              else "weir: there are no entries yet", file=sys.stderr)
    elif told.left_out.edges:
        print(f"weir: {told.left_out.edges:,} less busy edges and {told.left_out.nodes:,} {WORD[told.group]} are left "
              "out (--limit)", file=sys.stderr)
