"""Decode capture files and print what they hold. No server, no rights, no Kafka.

pcap and pcapng, plain, gzip or zstd. A file that is named is its own target; --target narrows it.
Entries go to stdout; progress and the summary with everything that was lost go to stderr.

examples:
  weir read capture.pcap                                  a table
  weir read monday.pcap tuesday.pcap.zst -t port:8080     two files, one after the other; one port
  weir read capture.pcap -o json | jq .path               one entry a line
  weir read capture.pcap -o full --protocol http | less   everything there is about each call
  tcpdump -i eth0 -w - | weir read -                      the standard input
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from typing import Any

from weir.cli.args import Parser
from weir.cli.flags import add_output, add_settings, flags_of
from weir.cli.interrupt import interruptible
from weir.cli.offline import STAGES, Offline, with_files
from weir.cli.render.entries import Renderer, renderer, wants_color
from weir.errors import SettingsError, SourceError
from weir.model.entry import EntryMap
from weir.runtime.collector import settle
from weir.runtime.process import load_settings, sections

USAGE = "weir read FILE… [options]"
PROGRESS_S = 1.0


def add_arguments(parser: Parser) -> None:
    add = parser.add_argument_group("what to read").add_argument
    add("file", nargs="*", metavar="FILE", help="capture files, read one after the other; - is the standard input")
    add("-t", "--target", action="append", metavar="T",
        help="only this: an address, a network, port:N, host:port (may be repeated)")
    add("--name", action="append", metavar="NAME", help="name of an address: ADDRESS[:PORT]=NAME[.NAMESPACE]")
    add("--protocol", action="append", default=[], metavar="P",
        help="print only entries of this protocol (may be repeated)")
    add("--flows", action="store_true", help="in table and full: print decoded conversations as flows, too")
    add_output(parser).add_argument("-q", "--quiet", action="store_true", help="no progress, no summary")
    add_settings(parser, sections(list(STAGES)))


def run(args: argparse.Namespace) -> int:
    if not args.file:
        raise SettingsError("no file is named", hint="weir read capture.pcap; - is the standard input")
    flags = with_files(flags_of(args), args.file)
    if args.target:
        flags["targets.static"] = args.target
    if args.name:
        flags["targets.names"] = args.name
    offline = Offline(load_settings(list(STAGES), flags, args.config))
    reading = Reading(args, renderer(args.output, sys.stdout, wants_color(args.color, sys.stdout)), offline)
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

    def __init__(self, args: argparse.Namespace, render: Renderer, offline: Offline) -> None:
        self._wanted = frozenset(args.protocol)
        self._everything = args.flows or args.output == "json"
        self._quiet = args.quiet
        self._render = render
        self._offline = offline
        self._progress = not args.quiet and sys.stderr.isatty() and not sys.stdout.isatty()
        self._told = time.monotonic()
        self._by_protocol: dict[str, int] = {}

    async def all(self) -> bool:
        """Read to the end, or to ^C: then what was read is printed; True if it was interrupted."""
        stop = self._offline.context.stop
        with interruptible(stop):
            async for entries in self._offline.entries():
                for entry in entries:
                    self._take(entry)
                self._tell()
        return stop.is_set()

    def end(self) -> None:
        """Sum up, unless the reader of a pipe has left."""
        sys.stdout.flush()
        if not self._quiet:
            print(self.summary(), file=sys.stderr)

    def _take(self, entry: EntryMap) -> None:
        protocol = entry["protocol"]
        self._by_protocol[protocol] = self._by_protocol.get(protocol, 0) + 1
        if self._wanted:
            if protocol in self._wanted:
                self._render.entry(entry)
        elif self._everything or not is_decoded_flow(entry):
            self._render.entry(entry)

    def _tell(self) -> None:
        if self._progress and time.monotonic() - self._told > PROGRESS_S:
            self._told = time.monotonic()
            print(f"weir: {self._offline.counts['capture.packets']:,} packets read", file=sys.stderr)

    def summary(self) -> str:
        """Counts and losses, in two or three lines."""
        counts: dict[str, Any] = dict(self._offline.counts)
        entries = ", ".join(f"{n:,} {protocol}" for protocol, n in sorted(self._by_protocol.items()))
        dropped = {k[len("filter.dropped{") : -1]: n for k, n in counts.items() if k.startswith("filter.dropped{")}
        lost = {k[len("lost.") :]: n for k, n in counts.items() if k.startswith("lost.")}
        lines = [f"weir: {counts.get('capture.packets', 0):,} packets read; entries: {entries or 'none'}"]
        if dropped:
            lines.append("weir: packets left out: " + _list(dropped))
        lines += [f"weir: {note}" for note in self._offline.context.notes.values()]
        lines.append("weir: lost: " + _list(lost) if lost else "weir: nothing was lost")
        return "\n".join(lines)


def is_decoded_flow(entry: EntryMap) -> bool:
    """A flow whose content stands in entries of its own: of use in a list of connections, not of calls."""
    return entry["kind"] == "flow" and bool(entry.get("conn_l7_detected") or entry.get("flow_l7_detected"))


def _list(numbers: dict[str, int]) -> str:
    return ", ".join(f"{n:,} ({reason})" for reason, n in sorted(numbers.items()))
