"""Questions about many entries, answered by a hub or by files: the same numbers, since files are put into the archive
in memory that `weir up` has, and asked alike.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import time
from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import msgspec

from weir.archive.api import MAX_GROUPS, Statistics
from weir.archive.memory import MemoryArchive
from weir.cli.client import Hub, connect
from weir.cli.conditions import asked, time_range
from weir.cli.files import Progress, opened, summary
from weir.cli.interrupt import interruptible
from weir.cli.selecting import query_of
from weir.errors import SettingsError, SourceError
from weir.hub.graph import Grouping, MapAnswer, edge_keys, node_keys, service_map
from weir.hub.params import time_of
from weir.query.structured import Query, QueryError
from weir.runtime.collector import settle

if TYPE_CHECKING:
    from weir.cli.offline import Offline

Told = TypeVar("Told")

KEPT_ENTRIES = 5_000_000
KEPT_BYTES = 2 << 30
"""What is held of files; the oldest entries beyond it are left out, and that is told."""


class Lookup(Protocol):
    async def statistics(self, group_by: Sequence[str], bucket_s: int) -> list[Statistics]:
        """Groups, the largest first; at most `MAX_GROUPS`."""
        ...

    async def graph(self, group: Grouping, limit: int) -> MapAnswer:
        """Who calls whom."""
        ...


@contextlib.asynccontextmanager
async def looked_up(args: argparse.Namespace) -> AsyncIterator[Lookup]:
    """The files that are named, else the hub; `args` has the options of conditions, times and files."""
    if args.file:
        yield await _read(args)
        return
    for name in ("target", "name"):
        if getattr(args, name):
            raise SettingsError(f"--{name} is for files", hint="name a file, or use --filter")
    params = asked(args) | time_range(args)
    async with connect(args) as hub:
        yield _AtHub(hub, params)


class _AtHub:
    def __init__(self, hub: Hub, params: dict[str, str]) -> None:
        self._hub = hub
        self._params = params

    async def statistics(self, group_by: Sequence[str], bucket_s: int) -> list[Statistics]:
        told = await self._hub.get("/api/v1/stats", self._params | {
            "group_by": ",".join(group_by), "bucket": str(bucket_s), "limit": str(MAX_GROUPS),
        })
        return converted(self._hub, told.get("groups"), list[Statistics])

    async def graph(self, group: Grouping, limit: int) -> MapAnswer:
        told = await self._hub.get("/api/v1/map", self._params | {"group": group, "limit": str(limit)})
        return converted(self._hub, told, MapAnswer)


def converted(hub: Hub, told: Any, kind: type[Told]) -> Told:
    """What a hub told, as its type."""
    try:
        return msgspec.convert(told, kind)
    except msgspec.ValidationError:
        raise hub.stranger() from None


class _InFiles:
    def __init__(self, archive: MemoryArchive, query: Query) -> None:
        self._archive = archive
        self._query = query

    async def statistics(self, group_by: Sequence[str], bucket_s: int) -> list[Statistics]:
        return await self._archive.statistics(
            self._query, group_by=group_by, bucket_ns=bucket_s * 10**9, limit=MAX_GROUPS
        )

    async def graph(self, group: Grouping, limit: int) -> MapAnswer:
        edges = await self.statistics(edge_keys(group), 0)
        nodes = await self.statistics(node_keys(group), 0)
        until = self._query.until_ns or self._query.now_ns
        return service_map(group, edges, nodes, limit, self._query.since_ns, until)


async def _read(args: argparse.Namespace) -> Lookup:
    """Read the files to their end, or to ^C, and hold what they have; tells what was read and lost."""
    # What is wrong is told before a large file is read.
    query_of(args.filter)
    time_range(args)
    offline = opened(args)
    settle()
    holding = Holding(offline, quiet=args.quiet)
    stop = offline.context.stop
    try:
        with interruptible(stop):
            async with contextlib.aclosing(offline.entries()) as read:
                async for entries in read:
                    await holding.take(entries)
    except SourceError:
        if offline.counts["capture.packets"]:
            holding.end()
        raise
    holding.end()
    return _InFiles(holding.archive, holding.query(args))


class Holding:
    """Entries of files in the archive in memory."""

    def __init__(self, offline: Offline, *, quiet: bool, kept: int = KEPT_ENTRIES) -> None:
        self.archive = MemoryArchive(kept, KEPT_BYTES, dropped=self._dropped)
        self._offline = offline
        self._progress = Progress(offline, wanted=not quiet, alone=True)
        self._quiet = quiet
        self._by_protocol: dict[str, int] = {}
        self._left_out = 0
        self._newest = 0

    def _dropped(self, entries: int) -> None:
        self._left_out += entries

    async def take(self, entries: list[dict[str, Any]]) -> None:
        for entry in entries:
            self._by_protocol[entry["protocol"]] = self._by_protocol.get(entry["protocol"], 0) + 1
            self._newest = max(self._newest, entry["timestamp"])
        await self.archive.insert(entries)
        self._progress.tell()

    def end(self) -> None:
        """Sum up what was read."""
        if self._left_out:
            print(f"weir: the {self._left_out:,} oldest entries are left out: more than is held in memory; narrow what "
                  "is read with --target", file=sys.stderr)
        if not self._quiet:
            entries = ", ".join(f"{n:,} {protocol}" for protocol, n in sorted(self._by_protocol.items()))
            print("\n".join(summary(self._offline, entries)), file=sys.stderr)

    def query(self, args: argparse.Namespace) -> Query:
        """What is asked; ages count back from the newest entry: a file knows no other now."""
        now = self._newest + 1 or time.time_ns()
        times = time_range(args, now)
        try:
            since, until = (time_of(name, times.get(name, ""), now) for name in ("since", "until"))
        except QueryError as error:
            raise SettingsError(error.message, hint=error.hint) from None
        query = query_of(args.filter, args.protocol, args.text, hidden=args.hidden, now_ns=now)
        return msgspec.structs.replace(query, since_ns=since, until_ns=until)
