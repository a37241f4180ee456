"""Capture files on a command line: which ones, how far their reading is, and what came of it."""

from __future__ import annotations

import argparse
import re
import sys
import time
from typing import TYPE_CHECKING, Any

from weir.cli.args import Parser
from weir.cli.flags import add_settings, flags_of
from weir.cli.render.text import safe
from weir.runtime.process import load_settings, sections

if TYPE_CHECKING:
    from weir.cli.offline import Offline

PROGRESS_S = 1.0
_SETTING = re.compile(r"--[a-z]+\.")


def add_file_options(parser: Parser, title: str, files: str) -> None:
    """Which files, and what of them."""
    add = parser.add_argument_group(title).add_argument
    add("file", nargs="*", metavar="FILE", help=files)
    add("-t", "--target", action="append", metavar="T",
        help="only this: an address, a network, port:N, host:port (may be repeated)")
    add("--name", action="append", metavar="NAME", help="name of an address: ADDRESS[:PORT]=NAME[.NAMESPACE]")


def add_file_settings(parser: Parser) -> None:
    """Settings of the stages that read files; these are imported only where one of them is given: a hub's answer need
    not wait for that."""
    declared = {}
    if any(_SETTING.match(word) for word in parser.words):
        from weir.cli.offline import STAGES

        declared = sections(list(STAGES))
    add_settings(parser, declared)


def opened(args: argparse.Namespace) -> Offline:
    """The files that were named, about to be read."""
    from weir.cli.offline import STAGES, Offline, with_files

    flags = with_files(flags_of(args), args.file)
    if args.target:
        flags["targets.static"] = args.target
    if args.name:
        flags["targets.names"] = args.name
    return Offline(load_settings(list(STAGES), flags, args.config))


class Progress:
    """Tells on a terminal, once a second, how far it is: where the results go elsewhere, or come at the end."""

    def __init__(self, offline: Offline, *, wanted: bool, alone: bool = False) -> None:
        self._offline = offline
        self._wanted = wanted and sys.stderr.isatty() and (alone or not sys.stdout.isatty())
        self._told = time.monotonic()

    def tell(self) -> None:
        if self._wanted and time.monotonic() - self._told > PROGRESS_S:
            self._told = time.monotonic()
            print(f"weir: {self._offline.counts['capture.packets']:,} packets read", file=sys.stderr)


def summary(offline: Offline, entries: str) -> list[str]:
    """What was read, left out and lost."""
    counts: dict[str, Any] = dict(offline.counts)
    dropped = {k[len("filter.dropped{") : -1]: n for k, n in counts.items() if k.startswith("filter.dropped{")}
    lost = {k[len("lost.") :]: n for k, n in counts.items() if k.startswith("lost.")}
    lines = [f"weir: {counts.get('capture.packets', 0):,} packets read; entries: {entries or 'none'}"]
    if dropped:
        lines.append("weir: packets left out: " + _list(dropped))
    lines += [f"weir: {safe(note)}" for note in offline.context.notes.values()]
    lines.append("weir: lost: " + _list(lost) if lost else "weir: nothing was lost")
    return lines


def _list(numbers: dict[str, int]) -> str:
    return ", ".join(f"{n:,} ({reason})" for reason, n in sorted(numbers.items()))
