"""Decode capture files and print what they hold. No server, no rights, no Kafka.

pcap and pcapng, plain, gzip or zstd. A file that is named is its own target; --target narrows it.
Entries go to stdout; progress and the summary with everything that was lost go to stderr.
`weir stats` and `weir map` count what files hold.

examples:
  weir read capture.pcap                                  a table
  weir read monday.pcap tuesday.pcap.zst -t port:8080     two files, one after the other; one port
  weir read capture.pcap -o json | jq .path               one entry a line
  weir read capture.pcap -o full --protocol http | less   everything there is about each call
  weir read capture.pcap --filter 'http && status_code >= 500'
  weir read capture.pcap -o csv --fields src.ip,path,status_code >calls.csv
  weir read capture.pcap -o har >calls.har                for a browser's developer tools
  tcpdump -i eth0 -w - | weir read -                      the standard input
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import sys
import time

from weir.cli.args import Parser
from weir.cli.conditions import add_entry_options, add_fields_option, fields_of
from weir.cli.files import Progress, add_file_options, opened, summary
from weir.cli.flags import add_output, add_settings
from weir.cli.interrupt import interruptible
from weir.cli.offline import STAGES, Offline
from weir.cli.render.entries import Renderer, renderer, wants_color
from weir.cli.selecting import asks_for_flows, query_of, wanted
from weir.errors import SettingsError, SourceError
from weir.model.entry import EntryMap
from weir.query.structured import Query
from weir.runtime.collector import settle
from weir.runtime.process import sections

USAGE = "weir read FILE… [options]"


def add_arguments(parser: Parser) -> None:
    add_file_options(parser, "what to read", "capture files, read one after the other; - is the standard input")
    add_entry_options(parser, "which entries", hidden=False)
    group = add_output(parser)
    add_fields_option(group)
    group.add_argument("--flows", action="store_true", help="in table and full: decoded conversations as flows, too")
    group.add_argument("-q", "--quiet", action="store_true", help="no progress, no summary")
    add_settings(parser, sections(list(STAGES)))


def run(args: argparse.Namespace) -> int:
    if not args.file:
        raise SettingsError("no file is named", hint="weir read capture.pcap; - is the standard input")
    query = query_of(args.filter, args.protocol, args.text, now_ns=time.time_ns())
    render = renderer(args.output, sys.stdout, wants_color(args.color, sys.stdout), fields_of(args))
    offline = opened(args)
    reading = Reading(args, query, render, offline)
    settle()
    try:
        interrupted = asyncio.run(reading.all())
    except SourceError:
        # What came before it has been printed: it is summed up, then the reason is told.
        if offline.counts["capture.packets"]:
            reading.end()
        raise
    reading.end()
    return 130 if interrupted else 0


class Reading:
    """Prints what is wanted, and counts everything."""

    def __init__(self, args: argparse.Namespace, query: Query, render: Renderer, offline: Offline) -> None:
        self._wanted = wanted(query)
        # Who asks for flows gets them; who asks for nothing in particular gets those that say something new.
        self._everything = (
            args.flows or args.output in ("json", "csv", "har") or bool(args.protocol) or asks_for_flows(args.filter)
        )
        self._left = args.limit or sys.maxsize
        self._limit = args.limit
        self._quiet = args.quiet
        self._render = render
        self._offline = offline
        self._progress = Progress(offline, wanted=not args.quiet)
        self._by_protocol: dict[str, int] = {}

    async def all(self) -> bool:
        """Read to the end, to the limit, or to ^C: then what was read is printed; True if it was interrupted."""
        stop = self._offline.context.stop
        with interruptible(stop):
            async with contextlib.aclosing(self._offline.entries()) as read:
                async for entries in read:
                    for entry in entries:
                        self._take(entry)
                    if not self._left:
                        break
                    self._progress.tell()
        return stop.is_set()

    def end(self) -> None:
        """Sum up, unless the reader of a pipe has left."""
        self._render.end()
        sys.stdout.flush()
        if not self._quiet:
            print(self.summary(), file=sys.stderr)

    def _take(self, entry: EntryMap) -> None:
        protocol = entry["protocol"]
        self._by_protocol[protocol] = self._by_protocol.get(protocol, 0) + 1
        if self._left and self._wanted(entry) and (self._everything or not is_decoded_flow(entry)):
            self._left -= 1
            self._render.entry(entry)

    def summary(self) -> str:
        """Counts and losses, in two or three lines."""
        entries = ", ".join(f"{n:,} {protocol}" for protocol, n in sorted(self._by_protocol.items()))
        lines = summary(self._offline, entries)
        if not self._left:
            lines.insert(1, f"weir: stopped after {self._limit:,} entries")
        return "\n".join(lines)


def is_decoded_flow(entry: EntryMap) -> bool:
    """A flow whose content stands in entries of its own: of use in a list of connections, not of calls."""
    return entry["kind"] == "flow" and bool(entry.get("conn_l7_detected") or entry.get("flow_l7_detected"))
