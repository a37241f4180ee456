"""Capture, decode and show: all stages in this one process. No Kafka, no cluster, no database server.

examples:
  weir up --demo                                  watch a small demo application
  weir up --interface eth0                        who talks to whom (connections and DNS, no payload)
  weir up --interface eth0 --target port:8080     decode what goes to and from port 8080
  weir up --interface any --target 10.1.0.0/16    decode one network
  weir up --file capture.pcap                     show a capture on the page

The page asks for a token; the URL that is printed has it. ^C drains and tells what was seen and lost.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from typing import Any

from weir.capture.permission import require_capture
from weir.capture.sources import choose
from weir.cli.args import Parser
from weir.cli.flags import add_settings, flags_of
from weir.cli.report import watch
from weir.cli.stages import STAGES
from weir.errors import PermissionMissing
from weir.runtime.collector import settle
from weir.runtime.process import load_settings, make_host, sections, set_up_logging
from weir.settings import Loaded

USAGE = "weir up [options]"
NO_TARGET = "weir: connections only, no payload; add --target all or name what you want (--target port:8080)"


RECORDED = "a RECORDING of the demo application, not live traffic"


def add_arguments(parser: Parser) -> None:
    add = parser.add_argument_group("what to capture").add_argument
    add("-i", "--interface", action="append", metavar="IF", help="interface to capture on, or `any` (may be repeated)")
    add("-f", "--file", action="append", metavar="FILE", help="read a capture file instead; - is the standard input")
    add("--demo", action="store_true", help="start a small demo application and watch it")
    add = parser.add_argument_group("what to decode").add_argument
    add("-t", "--target", action="append", metavar="T",
        help="all, an address, a network, port:N, host:port (may be repeated); without it: connections only")
    add("--name", action="append", metavar="NAME", help="name of an address: ADDRESS[:PORT]=NAME[.NAMESPACE]")
    add = parser.add_argument_group("where to show and keep it").add_argument
    add("--listen", metavar="HOST:PORT", help="where the page and the API listen [127.0.0.1:8899]")
    add("--archive", metavar="A", help="memory, chdb (needs weir[embedded]), or a ClickHouse URL [memory]")
    add("--data", metavar="DIR", help="folder for the token and the archive chdb")
    add_settings(parser, sections(list(STAGES.values())))


SHORT = {
    "interface": ["capture.interfaces"],
    "file": ["capture.files"],
    "target": ["targets.static"],
    "name": ["targets.names"],
    "listen": ["hub.listen"],
    "archive": ["store.archive", "hub.archive"],
    "data": ["runtime.data_dir"],
}
"""The short flags of this command and the settings that they stand for."""


def run(args: argparse.Namespace) -> int:
    flags = flags_of(args)
    for name, paths in SHORT.items():
        if (value := getattr(args, name)) is not None:
            flags |= dict.fromkeys(paths, value)
    flags["bus.url"] = ""
    if args.file and not args.target:
        # A file that is named is its own target.
        flags["targets.static"] = ["all"]
    try:
        return asyncio.run(_demo(args, flags) if args.demo else _up(_load(args, flags), {}))
    except asyncio.CancelledError:
        return 130


def _load(args: argparse.Namespace, flags: dict[str, Any]) -> Loaded:
    loaded = load_settings(list(STAGES.values()), flags, args.config)
    set_up_logging(loaded["runtime"].log_level)
    return loaded


async def _up(loaded: Loaded, shared: dict[str, Any], note: str = "") -> int:
    if choose(loaded["capture"]).live:
        # Before a page is announced that would show nothing.
        require_capture(loaded["capture"].interfaces)
    host = make_host(list(STAGES.values()), loaded, shared=shared)
    settle()
    if note:
        host.hosted[0].service.context.notes["demo"] = note
    if not loaded["targets"].static:
        print(NO_TARGET, file=sys.stderr)
    await watch(host)
    return 0


async def _demo(args: argparse.Namespace, flags: dict[str, Any]) -> int:
    """Watch the demo application live, or its recording where this process may not capture."""
    from weir.cli.demo import RECORDING, Demo, recorded_endpoints, recorded_targets
    from weir.targets.service import KNOWN_ENDPOINTS

    try:
        require_capture()
    except PermissionMissing as error:
        print(f"weir: {error}\nweir: showing a RECORDING of the demo application instead", file=sys.stderr)
        flags |= {"capture.files": [str(RECORDING)], "capture.node": "recording"}
        flags.setdefault("targets.static", recorded_targets())
        return await _up(_load(args, flags), {KNOWN_ENDPOINTS: recorded_endpoints()}, RECORDED)
    demo = Demo()
    await demo.start()
    try:
        flags.setdefault("capture.interfaces", ["lo"])
        flags.setdefault("targets.static", demo.targets)
        return await _up(_load(args, flags), {KNOWN_ENDPOINTS: demo.endpoints})
    finally:
        await demo.stop()
