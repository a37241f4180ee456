"""A protocol for tests of what lies around dissectors: lines `TOY <key> <words>`, answered by lines with the same key.

Words that make it misbehave: `LEAVE <name>` hands over, `GIVEUP` gives up, `BOOM` raises. Plain state, any split, any
gap, as the contract asks; and simple enough to be right by looking at it.
"""

from __future__ import annotations

from typing import Any

import msgspec

from weir.dissect.api import Data, Exchange, Field, GiveUp, Leave, Limits, Output, Probe
from weir.model.entry import Message
from weir.model.flow import Side

MAX_LINE = 4096
MAGIC = b"TOY "


class Line(msgspec.Struct):
    offset: int
    timestamp: int
    text: str


class ToyState(msgspec.Struct):
    kept: list[bytes] = msgspec.field(default_factory=lambda: [b"", b""])
    """By side: the line that is not complete yet."""
    starts: list[int] = msgspec.field(default_factory=lambda: [0, 0])
    times: list[int] = msgspec.field(default_factory=lambda: [0, 0])
    skipping: list[bool] = msgspec.field(default_factory=lambda: [False, False])
    """By side: after a gap, up to the next line."""
    asked: dict[str, Line] = {}
    answered: dict[str, Line] = {}
    carry: str = ""


class Toy:
    name = "toy"
    title = "Toy"
    protocols = ("toy",)
    transports = frozenset({"tcp", "udp"})
    ports = frozenset({8080})
    fields = (Field("toy_key", str, "The key."),)
    State = ToyState

    def __init__(self, limits: Limits = Limits()) -> None:  # noqa: B008 - frozen
        self.limits = limits

    def probe(self, side: Side, head: bytes, transport: str = "tcp") -> Probe:
        if head.startswith(MAGIC):
            return Probe.YES
        return Probe.MAYBE if MAGIC.startswith(head) else Probe.NO

    def open(self, *, midstream: bool = False, carry: Any = None, transport: str = "tcp") -> ToyState:
        return ToyState(carry=carry or "")

    def feed(self, state: ToyState, data: Data) -> list[Output]:
        out: list[Output] = []
        side, payload, offset = data.side, data.data, data.offset
        while payload:
            if not state.kept[side]:
                state.starts[side], state.times[side] = offset, data.timestamp
            line, newline, rest = payload.partition(b"\n")
            state.kept[side] += line
            offset += len(line) + len(newline)
            payload = rest
            if newline:
                done, state.kept[side] = state.kept[side], b""
                if state.skipping[side]:
                    state.skipping[side] = False
                elif (found := self._line(state, data, done, payload, offset)) is not None:
                    out.append(found)
                    if not isinstance(found, Exchange):
                        return out
            elif len(state.kept[side]) > MAX_LINE:
                return [*out, GiveUp("line too long")]
        return out

    def _line(self, state: ToyState, data: Data, line: bytes, rest: bytes, offset: int) -> Output | None:
        side = data.side
        words = line.decode(errors="replace").split(" ", 2)
        if words[0] != "TOY" or len(words) < 3:
            return GiveUp("not a line of toy")
        _, key, text = words
        if text.startswith("BOOM"):
            raise RuntimeError("boom")
        if text.startswith("GIVEUP"):
            return GiveUp("told to")
        if text.startswith("LEAVE"):
            rests, offsets, times = [b"", b""], list(state.starts), list(state.times)
            rests[side], offsets[side], times[side] = rest, offset, data.timestamp
            return Leave(
                protocol=text[6:], rest=(rests[0], rests[1]), offsets=(offsets[0], offsets[1]),
                timestamps=(times[0], times[1]), carry=key,
            )
        mine, theirs = (state.answered, state.asked) if side else (state.asked, state.answered)
        here = Line(state.starts[side], state.times[side], text)
        there = theirs.pop(key, None)
        if there is None:
            mine[key] = here
            return None
        return self._pair(key, there, here) if side else self._pair(key, here, there)

    def gap(self, state: ToyState, side: Side, offset: int, length: int, timestamp: int) -> list[Output]:
        state.kept[side] = b""
        state.skipping[side] = True
        return []

    def close(
        self, state: ToyState, side: Side | None, timestamp: int, reset: Side | None = None
    ) -> list[Output]:
        if side is not None:
            return []
        out: list[Output] = [self._pair(key, line, None) for key, line in state.asked.items()]
        out += [self._pair(key, None, line) for key, line in state.answered.items()]
        state.asked, state.answered = {}, {}
        return out

    @staticmethod
    def _pair(key: str, request: Line | None, response: Line | None) -> Exchange:
        first = request or response
        assert first is not None
        missing = "" if request and response else ("response not seen" if request else "request not seen")
        return Exchange(
            protocol="toy",
            side=Side.CLIENT if request else Side.SERVER,
            offset=first.offset,
            request=Message(timestamp=request.timestamp, size=len(request.text)) if request else None,
            response=Message(timestamp=response.timestamp, size=len(response.text)) if response else None,
            fields={"toy_key": key},
            ok=True if request and response else None,
            summary=f"{request.text if request else '?'} → {response.text if response else '?'}",
            incomplete=[missing] if missing else [],
        )
