"""How much, how slow and how broken: entries counted by whatever the filter language can name.

What the page shows, from the hub's archive; with FILE the same of capture files. COUNT, ERRORS, the latencies (P50,
P95, P99) and BYTES are of calls; FLOWS are the connections beside them, and all there is where payload is not read.
What was sampled is weighted: an entry stands for as many conversations as it was chosen from.

examples:
  weir stats                                              by target and protocol
  weir stats --by src.service,dst.service                 who calls whom
  weir stats --by path --filter 'http && status_code >= 500' --last 15m
  weir stats --by source,target --sort p95 --limit 10     the slowest pairs
  weir stats --by status_code --bucket 1m --last 1h       minute by minute
  weir stats capture.pcap --by method,path -o csv         what a file holds
  weir stats --by 'status_code / 100' -o json | jq .      by a value that is worked out

Groups are names of the filter language (path, status_code, dns_name, request.headers["user-agent"]), expressions in it,
and two short words: source and target, the best name of an end (service, else name, else address).
"""

from __future__ import annotations

import argparse
import asyncio
import re
import sys

from weir.archive.api import MAX_GROUPS
from weir.cli.args import Parser, count, one_of
from weir.cli.client import add_hub
from weir.cli.conditions import add_entry_options, add_time_options, said
from weir.cli.files import add_file_options, add_file_settings
from weir.cli.flags import add_output
from weir.cli.lookup import looked_up
from weir.cli.render.entries import wants_color
from weir.cli.render.groups import ENDS, SORTS, Group, joined, json_line, lines, row
from weir.cli.render.table import columns_of
from weir.errors import SettingsError
from weir.hub.graph import CALL
from weir.query import csv
from weir.query.group import groupings
from weir.query.structured import QueryError

USAGE = "weir stats [FILE…] [--by FIELD,…] [options]"
FORMATS = ("table", "json", "csv")
BY = "target,protocol"
_WIDTH = re.compile(r"(\d{1,6})(s|m|h)?\Z", re.ASCII)
_UNITS = {"s": 1, "m": 60, "h": 3600}
MAX_BUCKET_S = 86400


def _best_name(end: str) -> str:
    """Two namespaces may have a service of one name."""
    name = (f'{end}.service.name != "" ? {end}.service.name : {end}.workload != "" ? {end}.workload : '
            f'{end}.name != "" ? {end}.name : {end}.ip')
    return f'({name}) + ({end}.namespace != "" ? "." + {end}.namespace : "")'


SHORT = {name: _best_name(end) for name, end in zip(ENDS, ("src", "dst"), strict=True)}


def add_arguments(parser: Parser) -> None:
    add = parser.add_argument_group("what to count").add_argument
    add("--by", action="append", metavar="FIELD,…", help=f"one group for each value of these [{BY}]")
    add("--bucket", type=bucket, default=0, metavar="TIME", help="and for each so long a time: 10s, 1m, 1h")
    add("--sort", type=one_of("--sort", SORTS), default="count", metavar="BY",
        help=f"{', '.join(SORTS)}: the largest first; with --bucket by time before that [count]")
    add("--limit", type=count("--limit"), default=50, metavar="N", help="groups at most; 0 for all [50]")
    add_entry_options(parser, "which entries", limit=False)
    add_time_options(parser, "when", "only the last 15m, 2h, … (of a file: before its end)")
    group = add_output(parser, FORMATS, "table, json (one group a line) or csv")
    group.add_argument("-q", "--quiet", action="store_true", help="no words about what was read of files")
    add_file_options(parser, "of files instead of the hub", "capture files; - is the standard input")
    add_hub(parser)
    add_file_settings(parser)


def bucket(text: str) -> int:
    """Seconds of `10s`, `1m`, `1h`."""
    found = _WIDTH.match(text)
    seconds = int(found[1]) * _UNITS[found[2] or "s"] if found else 0
    if not 0 < seconds <= MAX_BUCKET_S:
        raise SettingsError(f"--bucket {text!r} is no width of time", hint="10s, 1m, 1h; at most 24h")
    return seconds


def run(args: argparse.Namespace) -> int:
    names = [part.strip() for value in args.by or [BY] for part in value.split(",") if part.strip()]
    if not names:
        raise SettingsError("--by names nothing", hint="for example --by src.service,dst.service")
    by = [SHORT.get(name, name) for name in names]
    if args.file:
        _checked(by)
    groups = asyncio.run(_ask(args, by))
    groups.sort(key=lambda one: (one.since_ns, *(-n for n in SORTS[args.sort](one))))
    shown = groups[: args.limit or None]
    _print(args, names, shown)
    sys.stdout.flush()
    _say(args, groups, len(groups) - len(shown))
    return 0


async def _ask(args: argparse.Namespace, by: list[str]) -> list[Group]:
    async with looked_up(args) as lookup:
        return joined(await lookup.statistics([*by, CALL], args.bucket))


def _checked(by: list[str]) -> None:
    """Before a large file is read; a hub checks for itself."""
    try:
        groupings(by)
    except QueryError as error:
        raise SettingsError(error.message, hint=error.hint) from None


def _print(args: argparse.Namespace, names: list[str], groups: list[Group]) -> None:
    buckets = bool(args.bucket)
    if args.output == "json":
        for one in groups:
            print(json_line(row(names, one, buckets=buckets)))
    elif args.output == "csv":
        heads = list(row(names, Group(key=("",) * len(names), since_ns=0), buckets=buckets))
        print(csv.line(heads), *(csv.line(row(names, one, buckets=buckets).values()) for one in groups), sep="", end="")
    elif groups:
        color = wants_color(args.color, sys.stdout)
        print("\n".join(lines(names, groups, columns_of(sys.stdout), buckets=buckets, color=color)))


def _say(args: argparse.Namespace, groups: list[Group], more: int) -> None:
    if not groups:
        print("weir: nothing fits; `weir stats` without conditions tells what there is" if said(args)
              else "weir: there are no entries yet", file=sys.stderr)
    if more > 0:
        limited = "" if len(groups) < MAX_GROUPS else " or more"
        print(f"weir: {more:,}{limited} groups are left out (--limit 0 prints all)", file=sys.stderr)
    if any(one.calls.entries != one.calls.count or one.flows.entries != one.flows.count for one in groups):
        print("weir: estimated: not every conversation was decoded (`weir status` tells why)", file=sys.stderr)
