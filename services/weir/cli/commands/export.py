"""Selected entries of the hub's archive as a file: JSON lines, CSV or HAR.

CSV is for spreadsheets: what they would take for a formula stands behind an apostrophe. HAR (HTTP Archive) is for a
browser's developer tools, and holds HTTP alone. Of files: `weir read FILE -o csv|json|har`.

examples:
  weir export --last 1h --filter 'http && failed' -o har >failed.har
  weir export -o csv --fields timestamp,src.name,dst.name,path,status_code >calls.csv
  weir export --order slowest --limit 100 | jq .summary   the 100 slowest, one a line
"""

from __future__ import annotations

import argparse
import asyncio
import codecs
import sys

from weir.cli.args import Parser, count, one_of
from weir.cli.client import Hub, add_hub, connect
from weir.cli.conditions import (
    add_entry_options,
    add_fields_option,
    add_time_options,
    asked,
    fields_of,
    time_range,
)
from weir.cli.flags import add_common
from weir.cli.render.text import safe_csv, safe_text_of_json
from weir.errors import SettingsError
from weir.hub.export import FORMATS
from weir.query.structured import ORDERS

USAGE = "weir export [-o FORMAT] [options] >FILE"
CHUNK = 1 << 16
DEFAULT = 10_000


def add_arguments(parser: Parser) -> None:
    add_entry_options(parser, "which entries", limit=False)
    group = add_time_options(parser, "when, and how many", "only the last 15m, 2h, …")
    group.add_argument("--order", type=one_of("--order", ORDERS), default="newest", metavar="ORDER",
                       help=f"{', '.join(ORDERS)}: which come first [newest]")
    group.add_argument("--limit", type=count("--limit"), default=DEFAULT, metavar="N",
                       help=f"entries at most; what is left out is told [{DEFAULT}]")
    group = parser.add_argument_group("how to write")
    group.add_argument("-o", "--output", type=one_of("--output", FORMATS), default="jsonl", metavar="FORMAT",
                       help="jsonl (one entry a line), csv or har [jsonl]")
    add_fields_option(group)
    add_hub(parser)
    add_common(parser)


def run(args: argparse.Namespace) -> int:
    if not args.limit:
        raise SettingsError("--limit 0 exports nothing", hint="1 or more")
    params = asked(args) | time_range(args) | {
        "format": args.output, "order": args.order, "limit": str(args.limit), "fields": ",".join(fields_of(args)),
    }
    asyncio.run(_export(args, {name: value for name, value in params.items() if value}))
    return 0


async def _export(args: argparse.Namespace, params: dict[str, str]) -> None:
    async with connect(args) as hub:
        matched, cut = await _copy(hub, params, args.output)
    if cut:
        print(f"weir: {args.limit:,} of {matched:,} entries; the others are left out (--limit)", file=sys.stderr)


async def _copy(hub: Hub, params: dict[str, str], form: str) -> tuple[int, bool]:
    """The hub's file to the standard output, inert wherever it goes from there."""
    async with hub.download("/api/v1/export", params) as response:
        inert = Inert(form)
        async for part in response.content.iter_chunked(CHUNK):
            sys.stdout.write(inert.text(part))
        sys.stdout.flush()
        matched = response.headers.get("Weir-Matched", "")
        return int(matched) if matched.isdigit() else 0, response.headers.get("Weir-Cut") == "true"


class Inert:
    """A file with nothing in it that a terminal obeys, in whatever pieces it comes; what is JSON says the same."""

    def __init__(self, form: str) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._safe = safe_csv if form == "csv" else safe_text_of_json

    def text(self, part: bytes) -> str:
        return self._safe(self._decoder.decode(part))
