"""One follower of live entries: its filter, its rate, and what waits for it. Pure: time comes in."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, Literal

import msgspec

from weir.archive.codec import decode_entry, entry_json
from weir.model.entry import EntryMap
from weir.query.match import entry_predicate, predicate
from weir.query.row import Row, row_of
from weir.query.structured import HIDDEN, Query

Format = Literal["json", "msgpack"]
Detail = Literal["summary", "full"]

LIST_DROPS = ("headers", "trailers", "body")
_HIDDEN = frozenset(HIDDEN)


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    rows_per_s: float
    queue: int
    queue_bytes: int


class Item:
    """An entry on its way to any number of followers: looked at once, written once for each form."""

    __slots__ = ("_written", "entry", "row")

    def __init__(self, entry: EntryMap) -> None:
        self.entry = entry
        self.row: Row = row_of(entry)
        self._written: dict[tuple[Format, Detail], bytes] = {}

    def written(self, form: Format, detail: Detail) -> bytes:
        data = self._written.get((form, detail))
        if data is None:
            entry = self.entry if detail == "full" else listed(self.entry)
            data = _packed(entry) if form == "msgpack" else entry_json(entry)
            self._written[form, detail] = data
        return data


def _packed(entry: EntryMap) -> bytes:
    try:
        return msgspec.msgpack.encode(entry)
    except (UnicodeError, OverflowError, TypeError, ValueError):
        # JSON says in another way what MessagePack cannot.
        return msgspec.msgpack.encode(decode_entry(entry_json(entry)))


def listed(entry: EntryMap) -> EntryMap:
    """An entry as lists need it: without headers, trailers, bodies and labels."""
    short = dict(entry)
    for side in ("request", "response"):
        if isinstance(message := short.get(side), dict):
            short[side] = {name: value for name, value in message.items() if name not in LIST_DROPS}
    for end in ("src", "dst"):
        if isinstance(peer := short.get(end), dict):
            short[end] = {name: value for name, value in peer.items() if name != "labels"}
    return short


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """What a tail is sent; the counts are those since the message before."""

    type: Literal["entries"] = "entries"
    entries: list[msgspec.Raw]
    matched: int
    """Entries that the filter let through."""
    shown: int
    """Those that were chosen for showing; the rest was above the rate."""
    missed: int
    """Those that were chosen and then dropped, because the reader was too slow."""
    hidden: int
    """Entries that the filter would let through, but for a tag (`probe`, `service-view`)."""


class Tail:
    """`narrow` is asked about each entry that the filter lets through: whether a rule selects one of its ends."""

    def __init__(
        self, query: Query, limits: Limits, form: Format, detail: Detail,
        narrow: Callable[[EntryMap], bool] | None = None,
    ) -> None:
        self.limits = limits
        self._narrow = narrow
        self.form: Format = form
        self.detail: Detail = detail
        self.paused = False
        self._queue: deque[bytes] = deque()
        self._bytes = 0
        self._matched = self._shown = self._missed = self._hidden = 0
        self._allowance = limits.rows_per_s
        self._last = 0.0
        self.filter(query)

    def filter(self, query: Query) -> None:
        """Follow something else from now on; what was not sent of the old is forgotten."""
        self.query = query
        self._wanted = predicate(msgspec.structs.replace(query, hidden=True))
        self._fits = entry_predicate(query)
        self._clear()

    def pause(self, paused: bool) -> None:
        self.paused = paused
        if paused:
            self._clear()

    def rate(self, rows_per_s: float) -> None:
        self.limits = msgspec.structs.replace(self.limits, rows_per_s=rows_per_s)

    def _clear(self) -> None:
        self._queue.clear()
        self._bytes = 0
        self._matched = self._shown = self._missed = self._hidden = 0

    def offer(self, item: Item, now: float) -> None:
        """An entry came, at `now` seconds of a clock that never jumps."""
        if self.paused or not self._wanted(item.row):
            return
        if self._fits is not None and not self._fits(item.entry):
            return
        if self._narrow is not None and not self._narrow(item.entry):
            return
        if item.row.tags and not self.query.hidden and not _HIDDEN.isdisjoint(item.row.tags):
            self._hidden += 1
            return
        self._matched += 1
        rate = self.limits.rows_per_s
        self._allowance = min(self._allowance + (now - self._last) * rate, max(rate, 1.0))
        self._last = now
        if self._allowance < 1.0:
            return
        self._allowance -= 1.0
        self._shown += 1
        data = item.written(self.form, self.detail)
        self._queue.append(data)
        self._bytes += len(data)
        while len(self._queue) > self.limits.queue or (self._bytes > self.limits.queue_bytes and len(self._queue) > 1):
            self._bytes -= len(self._queue.popleft())
            self._missed += 1

    def gathered(self) -> Message | None:
        """What came since the message before; None when there is nothing to tell."""
        if not self._matched and not self._hidden:
            return None
        message = Message(
            entries=[msgspec.Raw(data) for data in self._queue],
            matched=self._matched, shown=self._shown, missed=self._missed, hidden=self._hidden,
        )
        self._clear()
        return message

    def take(self) -> bytes | None:
        """The same as it is sent."""
        message = self.gathered()
        return None if message is None else self.encode(message)

    def encode(self, message: Any) -> bytes:
        return msgspec.msgpack.encode(message) if self.form == "msgpack" else msgspec.json.encode(message)
