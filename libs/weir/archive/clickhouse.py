"""The archive in ClickHouse, over HTTP: a server, or the embedded one of `chdb_server`.

Connects when it is first used and again whenever that is needed; while ClickHouse is away every call says so with
ArchiveAway and may be repeated.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

from weir.archive import questions
from weir.archive.api import MAX_VALUES, PAGE_BYTES, VALUES_OF, ArchiveAway, Page, Statistics, TooLong, Trimmed
from weir.archive.codec import decode_entry
from weir.archive.columns import FORMAT, NAMES, packed
from weir.archive.place import Place
from weir.archive.questions import Question
from weir.archive.schema import migrate
from weir.archive.walk import Copy, Hour, Walk, fitting, parts, stretches
from weir.errors import ArchiveError
from weir.model.entry import EntryMap
from weir.query.group import Key, groupings, values_of
from weir.query.row import WEIGHT_UNIT, clean
from weir.query.structured import Position, Query, position_of

CONNECT_S = 5
ANSWER_S = 120
REFUSED = {192, 193, 194, 497, 516}
"""ClickHouse's codes for an unknown user, a wrong password, a right that is missing."""
MISSING = {60, 81}
"""Unknown table, unknown database: not made yet."""
INSERTING = {"max_partitions_per_insert_block": 0, "optimize_on_insert": 0}
"""A capture from long ago may touch more hours than a server allows in one insert by default. Copies are folded when
parts are merged: to look for them in every insert as well costs a fifth of it."""
STOPPED = 159
"""ClickHouse's code for what took too long."""
LONGEST_S = 30.0
SLACK = 16
"""Candidates beyond a page's size, for copies among them."""
NEAR_NS = 3600 * 10**9
"""Candidates closer together than this are looked for in their time range."""
FEW = 100_000
"""Copies of so many entries are looked for among themselves, and not among all of their time."""
PARTS = "system.parts WHERE active AND database = {database:String} AND table = 'entries'"

T = TypeVar("T")
Rows = Sequence[tuple[Any, ...]]


class ClickHouseArchive:
    """See `weir.archive.api.Archive`."""

    def __init__(
        self, place: Place, *, writes: bool = True, name: str = "ClickHouse", find: Callable[[], Place] | None = None,
        longest_s: float = LONGEST_S,
    ) -> None:
        """`writes`: this process keeps the schema up to date; without it nothing is ever changed.

        `find` is asked for the place anew whenever the connection has to be made again."""
        self._place = place
        self._find = find
        self._writes = writes
        self._name = name
        self._table = f"{place.database}.entries"
        self.page_bytes = PAGE_BYTES
        self.longest_s = longest_s
        """Seconds that one question to ClickHouse may take."""
        self._asking: dict[tuple[int, int], asyncio.Task[Rows]] = {}
        self._client: Any = None
        self._broken: list[Any] = []
        self._connecting = asyncio.Lock()

    async def insert(self, entries: Sequence[EntryMap]) -> None:
        if not entries:
            return
        await self._connected()
        await self._put(entries)

    async def _put(self, entries: Sequence[EntryMap]) -> None:
        client = await self._connected()
        # In a thread: ten thousand entries are a tenth of a second in which nobody else of this process would be heard.
        block = await asyncio.to_thread(lambda: b"".join(packed(entries)))
        await self._told(
            client.raw_insert(self._table, column_names=NAMES, insert_block=block, fmt=FORMAT, settings=INSERTING)
        )

    async def query(self, query: Query) -> Page:
        before = position_of(query.cursor, query.order) if query.cursor else None
        walk = Walk(query, self.page_bytes)
        hours = await self._hours() if query.order != "slowest" else []
        for failed in parts(query, before):
            for stretch in stretches(query, before, hours):
                await self._walk(walk, stretch, before, failed)
                if walk.full:
                    return walk.page()
            before = None
        return walk.page()

    async def _hours(self) -> list[Hour]:
        return [Hour(begin * 10**9, last, rows) for begin, last, rows in await self._ask(questions.hours(self._table))]

    async def _walk(self, walk: Walk, stretch: Query, before: Position | None, failed: bool | None) -> None:
        """Gather the best copies of what a stretch of one part of the order has, until the page is full or it is
        through."""
        while not walk.full:
            size = walk.query.limit + 1 - len(walk.found) + SLACK
            rows = await self._ask(questions.candidates(self._table, stretch, before, size, failed=failed))
            taken = fitting(rows, walk.room)
            walk.room -= sum(row[-1] for row in taken)
            await self._learn(walk.best, taken)
            for rank in dict.fromkeys(tuple(row[:-1]) for row in taken):
                walk.add(rank, failed)
            walk.cut = bool(walk.found) and len(taken) < len(rows)
            if len(rows) < size and len(taken) == len(rows):
                return
            before = walk.position(taken[-1], failed)

    async def _learn(self, best: dict[str, Copy], rows: Sequence[tuple[Any, ...]]) -> None:
        """The best copy of each id that is not known yet."""
        unknown = {row[1]: row[0] for row in rows if row[1] not in best}
        if unknown:
            # Of the slowest the times lie far apart, and to look at each place is quicker than at all between.
            times = list(unknown.values()) if max(unknown.values()) - min(unknown.values()) < NEAR_NS else ()
            for row in await self._ask(questions.best(self._table, list(unknown), times)):
                best[row[1]] = tuple(row)

    async def get(self, entry_id: str) -> EntryMap | None:
        rows = await self._ask(questions.best(self._table, [clean(entry_id)]))
        return decode_entry(rows[0][-1]) if rows else None

    async def values(self, query: Query, name: str) -> list[tuple[Key, int]]:
        asked = questions.values(self._table, query, values_of(name), VALUES_OF, MAX_VALUES)
        return [(value, count) for value, count in await self._ask(asked)]

    async def statistics(
        self, query: Query, *, group_by: Sequence[str] = (), bucket_ns: int = 0, limit: int = 1000
    ) -> list[Statistics]:
        keys = groupings(group_by)
        known = await self._copies(query)
        rows = await self._ask(questions.statistics(self._table, query, known, keys, bucket_ns, limit))
        return [_statistics(row, len(keys)) for row in rows]

    async def count(self, query: Query) -> int:
        [[found]] = await self._ask(questions.count(self._table, query, []))
        if not found:
            return 0
        if found <= FEW:
            known = [row[0] for row in await self._ask(questions.copies_of(self._table, query))]
        else:
            known = await self._copies(query)
        if known:
            [[found]] = await self._ask(questions.count(self._table, query, known))
        return int(found)

    async def _copies(self, query: Query) -> list[int]:
        """Who asks for the same time range at the same time waits for the same answer."""
        about = query.since_ns, query.until_ns
        task = self._asking.get(about)
        if task is None:
            task = self._asking[about] = asyncio.create_task(self._ask(questions.copies(self._table, query)))
            task.add_done_callback(lambda done: self._answered(about, done))
        return [row[0] for row in await asyncio.shield(task)]

    def _answered(self, about: tuple[int, int], done: asyncio.Task[Rows]) -> None:
        del self._asking[about]
        if not done.cancelled():
            done.exception()  # whoever still waits is told; nobody may be left

    async def trim(self, *, before_ns: int = 0, max_bytes: int = 0) -> Trimmed:
        hours = await self._ask(
            Question(
                "SELECT partition_id, sum(rows), sum(bytes_on_disk) AS bytes, "
                "toUnixTimestamp(max(max_time)) AS until "
                f"FROM {PARTS} GROUP BY partition_id ORDER BY until",
                {"database": self._place.database},
            )
        )
        surplus = sum(hour[2] for hour in hours) - max_bytes if max_bytes else 0
        entries = freed = 0
        for number, (partition, rows, size, until) in enumerate(hours):
            old = (until + 1) * 10**9 <= before_ns
            over = freed < surplus and number < len(hours) - 1
            if old or over:
                await self._drop(partition)
                entries, freed = entries + rows, freed + size
        return Trimmed(entries, freed)

    async def _drop(self, partition: str) -> None:
        cluster = f" ON CLUSTER '{self._place.cluster}'" if self._place.cluster else ""
        if not partition.isalnum():
            raise ArchiveError(f"{self._name}: unexpected partition {partition!r}")
        client = await self._connected()
        await self._told(client.command(f"ALTER TABLE {self._table}{cluster} DROP PARTITION ID '{partition}'"))

    async def size_bytes(self) -> int:
        rows = await self._ask(
            Question(f"SELECT sum(bytes_on_disk) FROM {PARTS}", {"database": self._place.database})
        )
        return int(rows[0][0])

    def describe(self) -> str:
        return f"{self._name} at {self._place}" if self._place.host else f"{self._name}, not found yet"

    async def close(self) -> None:
        self._give_up()
        await self._close_broken()

    def _give_up(self) -> None:
        """Connect anew at the next call: the server may have come back elsewhere, or with another password."""
        if self._client is not None:
            self._broken.append(self._client)
            self._client = None

    async def _close_broken(self) -> None:
        while self._broken:
            await self._broken.pop().close()

    async def _ask(self, question: Question) -> Rows:
        client = await self._connected()
        sql = f"{question.sql} SETTINGS max_execution_time = {self.longest_s:g}"
        result = await self._told(
            client.query(sql, parameters=question.parameters, column_formats={"entry": "bytes"})
        )
        rows: Rows = result.result_rows
        return rows

    async def _connected(self) -> Any:
        if self._client is None:
            async with self._connecting:
                if self._client is None:
                    self._client = await self._connect()
        return self._client

    async def _connect(self) -> Any:
        # The import costs a quarter of a second that other archives need not pay.
        from clickhouse_connect.driver import create_async_client

        if self._find is not None:
            self._place = self._find()
        place = self._place
        client: Any = await self._told(
            create_async_client(
                host=place.host, port=place.port, username=place.user, password=place.password,
                secure=place.secure, verify=place.verify, connect_timeout=CONNECT_S, send_receive_timeout=ANSWER_S,
                query_limit=0, compress=False, autogenerate_session_id=False, form_encode_query_params=True,
            )
        )
        if self._writes:
            try:
                await self._told(migrate(place, client.command, lambda: _applied(client, place)))
            except BaseException:
                await client.close()
                raise
        await self._close_broken()
        return client

    async def _told(self, call: Awaitable[T]) -> T:
        """What goes wrong, as ours."""
        from clickhouse_connect.driver.exceptions import ClickHouseError

        try:
            return await call
        except (ClickHouseError, OSError, TimeoutError) as error:
            raise self._error(error) from error

    def _error(self, error: Exception) -> ArchiveError:
        code = getattr(error, "code", None)
        said = _first_line(error)
        if code == STOPPED:
            return TooLong(
                f"{self._name}: the question took longer than {self.longest_s:g} s and was stopped",
                hint="narrow the time range, or ask for fields that lists show: they are looked up quicker",
            )
        if code is None or code in REFUSED:
            self._give_up()
        if code in REFUSED and self._find is None:
            return ArchiveError(
                f"{self._name} at {self._place} refuses: {said}", hint="check user and password in the archive's URL"
            )
        if code in MISSING:
            return ArchiveAway(
                f"{self._name} at {self._place} has no entries table yet", hint="`store` makes it: is it running?"
            )
        return ArchiveAway(
            f"{self._name} at {self._place}: {said}", hint="is it running, reachable, and is there room on its disk?"
        )


async def _applied(client: Any, place: Place) -> set[int]:
    result = await client.query(f"SELECT number FROM {place.database}.migrations")
    return {row[0] for row in result.result_rows}


def _first_line(error: Exception) -> str:
    text = str(error).strip() or type(error).__name__
    _, found, answer = text.partition("DB::Exception: ")
    return (answer if found else text).splitlines()[0][:300]


def _statistics(row: Sequence[Any], keys: int) -> Statistics:
    bucket, entries, weight, errors, size, flows, (p50, p95, p99), protocols = row[keys:]
    return Statistics(
        key=tuple(row[:keys]), since_ns=bucket, entries=entries,
        count=weight / WEIGHT_UNIT, errors=errors / WEIGHT_UNIT, bytes=int(size), flow_bytes=int(flows),
        p50_us=p50, p95_us=p95, p99_us=p99, protocols=protocols,
    )
