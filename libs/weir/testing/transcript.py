"""Conversations as transcripts, played through a dissector: for the tests of weir's and of other people's dissectors.

    play(Http1(), [(C, b"GET / HTTP/1.1\\r\\n\\r\\n"), (S, b"HTTP/1.1 204 No Content\\r\\n\\r\\n")])

Each line is captured a millisecond after the one before, all its bytes at once; `split` cuts a line into pieces that
are fed one by one, and `snapshot` saves and restores the state between any two of them, as decode may do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from typing import Any

import msgspec

from weir.dissect.api import Data, Dissector, Exchange, GiveUp, Leave, Output
from weir.model.flow import Side

C, S = Side.CLIENT, Side.SERVER
START = 1_700_000_000_000_000_000
STEP = 1_000_000


class Lost(msgspec.Struct, frozen=True):
    """Bytes of one side that were not captured."""

    side: Side
    length: int


class Fin(msgspec.Struct, frozen=True):
    """One side will send no more."""

    side: Side


Line = tuple[Side, bytes] | Lost | Fin
Split = Callable[[bytes], Iterable[bytes]]


def whole(data: bytes) -> Iterable[bytes]:
    return (data,)


def every(n: int) -> Split:
    """Pieces of `n` bytes."""
    return lambda data: (data[at : at + n] for at in range(0, len(data), n))


def at_points(points: Sequence[int]) -> Split:
    """Cut each line at these positions, as far as it is long enough."""

    def split(data: bytes) -> Iterable[bytes]:
        cuts = sorted({0, len(data), *(p for p in points if 0 < p < len(data))})
        return (data[a:b] for a, b in pairwise(cuts))

    return split


def time_of(line: int) -> int:
    """Capture time of a transcript's line, counted from 0."""
    return START + line * STEP


def play(
    dissector: Dissector,
    transcript: Sequence[Line],
    *,
    split: Split = whole,
    snapshot: bool = False,
    midstream: bool = False,
    carry: Any = None,
    transport: str = "tcp",
    close: bool = True,
    reset: Side | None = None,
    watch: Callable[[Any], None] | None = None,
) -> list[Output]:
    """What a dissector gives for a transcript. Over UDP every line is one datagram and is never split. `watch` sees
    the state after each call. A dissector that left is fed no more, and what it would have been fed is added to the
    `rest` of its `Leave`; so is one that gave up."""
    state = dissector.open(midstream=midstream, carry=carry, transport=transport)
    offsets = [0, 0]
    found: list[Output] = []

    def after(outputs: Iterable[Output]) -> None:
        nonlocal state
        assert not found or not isinstance(found[-1], Leave | GiveUp), "something came after the end"
        found.extend(outputs)
        if watch is not None:
            watch(state)
        if snapshot:
            state = restored(dissector, state)

    for number, line in enumerate(transcript):
        now = time_of(number)
        if found and isinstance(found[-1], Leave | GiveUp):
            if isinstance(found[-1], Leave) and isinstance(line, tuple):
                found[-1] = _goes_on(found[-1], *line, now)
        elif isinstance(line, Lost):
            after(dissector.gap(state, line.side, offsets[line.side], line.length, now))
            offsets[line.side] += line.length
        elif isinstance(line, Fin):
            after(dissector.close(state, line.side, now))
        else:
            side, data = line
            for piece in split(data) if transport == "tcp" else (data,):
                if found and isinstance(found[-1], Leave):
                    found[-1] = _goes_on(found[-1], side, piece, now)
                elif not found or not isinstance(found[-1], GiveUp):
                    after(dissector.feed(state, Data(side, piece, now, offsets[side])))
                    offsets[side] += len(piece) if transport == "tcp" else 1
    if close and not (found and isinstance(found[-1], Leave | GiveUp)):
        after(dissector.close(state, None, time_of(len(transcript)), reset))
    return found


def _goes_on(leave: Leave, side: Side, data: bytes, now: int) -> Leave:
    rest, timestamps = list(leave.rest), list(leave.timestamps)
    if not rest[side]:
        timestamps[side] = now
    rest[side] += data
    return msgspec.structs.replace(leave, rest=tuple(rest), timestamps=tuple(timestamps))


def restored(dissector: Dissector, state: Any) -> Any:
    """The state after a snapshot and its restoration."""
    return msgspec.msgpack.decode(msgspec.msgpack.encode(state), type=dissector.State)


def exchanges(outputs: Iterable[Output]) -> list[Exchange]:
    return [output for output in outputs if isinstance(output, Exchange)]
