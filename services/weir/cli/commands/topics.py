"""Create weir's topics on a Kafka cluster, or check those that exist.

Without --create nothing is changed: what is missing or differs from its declaration is told, and the exit code is 5.

examples:
  weir topics --declared                              what weir would create; needs no Kafka
  weir topics --bus.url kafka:9092                    check
  weir topics --bus.url kafka:9092 --create           create what is missing, with 3 partitions
  weir topics --bus.url kafka:9092 --create --bus.shards 12 --bus.replication 3
  weir topics --bus.url kafka:9092 --create --readers ada,bob   they may read entries, never raw packets
"""

from __future__ import annotations

import argparse
import asyncio
import json

from weir.bus.topics import TOPICS
from weir.cli.args import Parser, one_of
from weir.cli.flags import add_settings, flags_of
from weir.errors import SettingsError
from weir.runtime.process import load_settings, sections
from weir.settings import Loaded

USAGE = "weir topics [--create [--readers USER,USER] | --declared] [options]"


def add_arguments(parser: Parser) -> None:
    group = parser.add_argument_group("what to do")
    group.add_argument("--create", action="store_true", help="create what is missing")
    group.add_argument("--declared", action="store_true", help="only print the declarations; needs no Kafka")
    group.add_argument("--wait", type=_seconds, metavar="SECONDS", default=0.0,
                       help="keep trying for so long while Kafka is away [0]")
    group.add_argument("--readers", metavar="USER,USER", default="",
                       help="with --create: Kafka users who may read all that holds no raw payload, by ACLs")
    group.add_argument("-o", "--output", type=one_of("--output", ("text", "json")), metavar="FORMAT", default="text",
                       help="text or json [text]")
    add_settings(parser, sections([]), listed=("bus",))


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= 86400:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds, such as 60")
    return seconds


def run(args: argparse.Namespace) -> int:
    loaded = load_settings([], flags_of(args), args.config)
    if args.readers and not args.create:
        raise SettingsError("--readers without --create", hint="only --create changes anything; add it")
    if args.declared:
        _print([{"topic": f"{loaded['runtime'].instance}.{t.name}", "change": t.doc} for t in TOPICS], args.output)
        return 0
    if not loaded["bus"].url:
        raise SettingsError("no Kafka is named", hint="--bus.url HOST:PORT, or WEIR_BUS_URL")
    from weir.bus.admin import ensure

    changes = asyncio.run(
        ensure(loaded["bus"], loaded["runtime"].instance, create=args.create, wait_s=args.wait)
    )
    rows = [{"topic": c.topic, "change": f"{c.action}, partitions: {c.wanted.partitions}"} for c in changes]
    rows += _granted(loaded, [user.strip() for user in args.readers.split(",") if user.strip()])
    _print(rows, args.output)
    return 0


def _granted(loaded: Loaded, readers: list[str]) -> list[dict[str, str]]:
    """What the readers may now read; nothing is changed for none."""
    if not readers:
        return []
    from weir.bus.acls import ensure_grants

    granted = asyncio.run(ensure_grants(loaded["bus"], loaded["runtime"].instance, readers))
    return [
        {"topic": f"{grant.name}{'*' if grant.prefixed else ''}", "change": f"{grant.user} may {grant.operation}"}
        for grant in granted if grant.resource == "topic"
    ]


def _print(rows: list[dict[str, str]], output: str) -> None:
    if output == "json":
        print(json.dumps(rows))
        return
    for row in rows:
        print(f"{row['topic']:<20} {row['change']}")
