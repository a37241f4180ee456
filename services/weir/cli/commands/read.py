"""Decode capture files and print what they hold. No server, no rights, no Kafka.

pcap and pcapng, plain, gzip or zstd; `-` is the standard input. A file that is named is its own target; --target
narrows it. Entries go to stdout, progress and the summary to stderr.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
import time
from typing import Any

from weir.cli.flags import add_settings, flags_of
from weir.cli.offline import STAGES, Offline, with_files
from weir.cli.render.entries import FORMATS, Renderer, renderer, wants_color
from weir.model.counts import Counts
from weir.model.entry import EntryMap
from weir.runtime.process import load_settings, sections

PROGRESS_S = 1.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("file", nargs="+", help="capture files; - for the standard input")
    add("-o", "--output", choices=FORMATS, default="table", help="table, json (one entry a line) or full [table]")
    add("--target", "-t", action="append", metavar="T", help="only this: an address, a network, port:N, host:port")
    add("--name", action="append", metavar="ADDR=NAME", help="name of an address: ADDRESS[:PORT]=NAME[.NAMESPACE]")
    add("--protocol", action="append", default=[], help="print only entries of this protocol (may be repeated)")
    add("--flows", action="store_true", help="in table and full: print decoded conversations as flows, too")
    add("--color", choices=("auto", "always", "never"), default="auto")
    add("-q", "--quiet", action="store_true", help="no progress, no summary")
    add_settings(parser, sections(list(STAGES)), listed=False)


def run(args: argparse.Namespace) -> int:
    flags = with_files(flags_of(args), args.file)
    if args.target:
        flags["targets.static"] = args.target
    if args.name:
        flags["targets.names"] = args.name
    offline = Offline(load_settings(list(STAGES), flags, args.config))
    reading = Reading(args, renderer(args.output, sys.stdout, wants_color(args.color, sys.stdout)), offline.counts)
    try:
        interrupted = asyncio.run(reading.all(offline))
    finally:
        sys.stdout.flush()
        if not args.quiet:
            print(reading.summary(), file=sys.stderr)
    return 130 if interrupted else 0


class Reading:
    """Prints what is wanted, and counts everything."""

    def __init__(self, args: argparse.Namespace, render: Renderer, counts: Counts) -> None:
        self._wanted = frozenset(args.protocol)
        self._everything = args.flows or args.output == "json"
        self._render = render
        self._counts = counts
        self._progress = not args.quiet and sys.stderr.isatty() and not sys.stdout.isatty()
        self._told = time.monotonic()
        self._by_protocol: dict[str, int] = {}

    async def all(self, offline: Offline) -> bool:
        """Read to the end, or to ^C: then what was read is printed; True if it was interrupted."""
        stop = offline.context.stop
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGINT, stop.set)
        try:
            async for entries in offline.entries():
                for entry in entries:
                    self._take(entry)
                self._tell()
        finally:
            loop.remove_signal_handler(signal.SIGINT)
        return stop.is_set()

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
            print(f"weir: {self._counts['capture.packets']:,} packets read", file=sys.stderr)

    def summary(self) -> str:
        """Counts and losses, in two or three lines."""
        counts: dict[str, Any] = dict(self._counts)
        entries = ", ".join(f"{n:,} {protocol}" for protocol, n in sorted(self._by_protocol.items()))
        dropped = {k[len("filter.dropped{") : -1]: n for k, n in counts.items() if k.startswith("filter.dropped{")}
        lost = {k[len("lost.") :]: n for k, n in counts.items() if k.startswith("lost.")}
        lines = [f"weir: {counts.get('capture.packets', 0):,} packets read; entries: {entries or 'none'}"]
        if dropped:
            lines.append("weir: packets left out: " + _list(dropped))
        lines.append("weir: lost: " + _list(lost) if lost else "weir: nothing was lost")
        return "\n".join(lines)


def is_decoded_flow(entry: EntryMap) -> bool:
    """A flow whose content stands in entries of its own: of use in a list of connections, not of calls."""
    return entry["kind"] == "flow" and bool(entry.get("conn_l7_detected") or entry.get("flow_l7_detected"))


def _list(numbers: dict[str, int]) -> str:
    return ", ".join(f"{n:,} ({reason})" for reason, n in sorted(numbers.items()))
