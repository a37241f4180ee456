"""Version of weir and of the parts that matter for a report.

examples:
  weir version
  weir version -o json
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import platform

from weir.cli.args import Parser, one_of
from weir.cli.flags import add_common

USAGE = "weir version [options]"

PARTS = ("aiohttp", "aiokafka", "chdb", "h2", "hpack", "httptools", "msgpack", "msgspec")


def add_arguments(parser: Parser) -> None:
    group = parser.add_argument_group("output")
    group.add_argument("-o", "--output", type=one_of("--output", ("text", "json")), metavar="FORMAT", default="text",
                       help="text or json [text]")
    add_common(parser)


def run(args: argparse.Namespace) -> int:
    versions = {"weir": _version("weir"), "python": platform.python_version(), "system": platform.platform()}
    versions |= {part: _version(part) for part in PARTS}
    if args.output == "json":
        print(json.dumps(versions))
    else:
        for name, version in versions.items():
            print(f"{name:<10} {version}")
    return 0


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"
