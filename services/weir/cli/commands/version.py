"""Version of weir and of the parts that matter for a report."""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import platform

PARTS = ("aiohttp", "aiokafka", "chdb", "h2", "hpack", "httptools", "msgpack", "msgspec")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-o", "--output", choices=("text", "json"), default="text")


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
