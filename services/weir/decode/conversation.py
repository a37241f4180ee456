"""Shows a conversation's bytes to dissectors and turns what they find into entries.

Gets bytes in order and gaps; decides who reads them (`identify`), replays what came before that was known, hands over
where a protocol is left for another, and contains a dissector that fails: that costs its flow and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import GeneratorType
from typing import Any

from weir.decode.entries import EntryMaker
from weir.decode.flows import Early, Flow
from weir.decode.identify import NOBODY, Identifier, Recognised, listening_end
from weir.decode.settings import DecodeSettings
from weir.dissect.api import Data, Dissector, Exchange, Leave
from weir.dissect.flow_fields import FIRST_BYTES
from weir.model.counts import Counts
from weir.model.entry import EntryMap
from weir.model.flow import UDP, Side

MAX_LEAVES = 16
"""Hand-overs of one conversation: somebody could upgrade for ever."""
MAX_WEIRD = 16
UNRECOGNISED = "unrecognised"
TOO_SHORT = "too few bytes to recognise"

_SIDES = (Side.CLIENT, Side.SERVER)


class Conversations:
    """Reads the conversations of one shard; entries are appended to `out`."""

    def __init__(self, settings: DecodeSettings, identifier: Identifier, maker: EntryMaker, counts: Counts) -> None:
        self.settings = settings
        self.identifier = identifier
        self.maker = maker
        self.counts = counts
        self.out: list[EntryMap] = []
        self.head_limit = settings.identify_bytes
        """Bytes of a side that may be kept until it is recognised: less, if very many conversations are open."""

    def data(self, flow: Flow, end: int, data: bytes, timestamp: int, offset: int) -> None:
        """Bytes in order (or a datagram, with its number as `offset`)."""
        if flow.phase == "decoded":
            dissector = self.identifier.get(flow.dissector)
            if dissector is None:
                self.give_up(flow, f"dissector {flow.dissector} is switched off")
                return
            try:
                # As `_ask` does; written out, because most of the time of a decoder is spent below this line.
                outputs = dissector.feed(flow.state, Data(_SIDES[end ^ flow.client], data, timestamp, offset))
                if type(outputs) is GeneratorType:
                    outputs = [*outputs]
            except Exception:
                self._failed(flow, dissector)
                return
            if outputs:
                self._take_outputs(flow, outputs)
        elif flow.phase == "identify":
            self._identify(flow, end, data, timestamp, offset)
        elif flow.heads and len(flow.heads[end]) < FIRST_BYTES:
            flow.heads[end] += data[:FIRST_BYTES - len(flow.heads[end])]

    def gap(self, flow: Flow, end: int, offset: int, length: int, timestamp: int) -> None:
        if flow.phase == "decoded":
            dissector = self.identifier.get(flow.dissector)
            if dissector is not None:
                side = _SIDES[end ^ flow.client]
                self._take_outputs(
                    flow, self._ask(flow, dissector, dissector.gap, flow.state, side, offset, length, timestamp)
                )
        elif flow.phase == "identify":
            # What follows is not the beginning any more.
            flow.midstream = True
            flow.early = [early for early in flow.early if early.end != end]

    def finish(self, flow: Flow, end: int | None, timestamp: int) -> None:
        """One end sends no more; None: the conversation is over."""
        if flow.phase == "decoded":
            dissector = self.identifier.get(flow.dissector)
            if dissector is not None:
                side = None if end is None else _SIDES[end ^ flow.client]
                reset = _SIDES[flow.reset_by ^ flow.client] if end is None and flow.reset_by >= 0 else None
                self._take_outputs(
                    flow, self._ask(flow, dissector, dissector.close, flow.state, side, timestamp, reset)
                )
        elif flow.phase == "identify" and end is None and (flow.early or flow.heads):
            self._count_only(flow, UNRECOGNISED if flow.heads else TOO_SHORT)

    def conclude(self, flow: Flow, how: str) -> None:
        """Make the flow's own entry: how it ended, or with an empty `how` that it began."""
        if flow.client < 0 and not self._ask_listeners(flow):
            self._orient_by_port(flow)
        self.out.append(self.maker.flow(flow, how))

    def give_up(self, flow: Flow, why: str) -> None:
        """Nobody reads it any more; the rest is only counted."""
        flow.phase, flow.why, flow.state = "counted", why, None
        flow.early = []
        self.counts.add("decode.given_up", reason=flow.dissector)

    def note(self, flow: Flow, weird: str) -> None:
        if weird not in flow.weird and len(flow.weird) < MAX_WEIRD:
            flow.weird.append(weird)

    # Identification.

    def _identify(self, flow: Flow, end: int, data: bytes, timestamp: int, offset: int) -> None:
        if flow.client < 0:
            self._ask_listeners(flow)
        datagram = flow.wire.protocol == UDP
        flow.early.append(Early(end, offset, data, timestamp))
        head = data if datagram else b"".join([early.data for early in flow.early if early.end == end])
        found = self._recognise(flow, end, head)
        if found is NOBODY and flow.midstream and len(head) > len(data):
            # What came before may have been the end of something; this segment may begin a message.
            self._stash(flow, end, len(flow.early) - 1)
            head = data
            found = self._recognise(flow, end, head)
        if found.dissector is not None:
            self._read_by(flow, found.dissector, end, found.sides)
        elif found.maybe and not datagram and len(head) < self.head_limit:
            return
        elif flow.midstream or datagram:
            self._stash(flow, end, len(flow.early))
            flow.probes += 1
            if flow.probes >= self.settings.identify_tries:
                self._count_only(flow, UNRECOGNISED)
        else:
            self._count_only(flow, UNRECOGNISED)

    @staticmethod
    def _stash(flow: Flow, end: int, until: int) -> None:
        """Of what nobody recognised keep only the first bytes, for the flow's own entry."""
        kept = [early for number, early in enumerate(flow.early) if early.end != end or number >= until]
        heads = flow.heads or [b"", b""]
        for early in flow.early[:until]:
            if early.end == end:
                heads[end] = (heads[end] + early.data[:FIRST_BYTES])[:FIRST_BYTES]
        flow.early, flow.heads = kept, heads

    def _recognise(self, flow: Flow, end: int, head: bytes) -> Recognised:
        sides: Sequence[Side] = _SIDES if flow.client < 0 else (_SIDES[end ^ flow.client],)
        transport = flow.transport
        candidates = self.identifier.candidates(transport, flow.ports(), flow.wire.outline)

        def ask(dissector: Dissector, *args: Any) -> Any:
            return self._ask(None, dissector, *args)

        return self.identifier.recognise(candidates, sides, head, transport, ask)

    def _read_by(
        self, flow: Flow, dissector: Dissector, end: int, sides: Sequence[Side], carry: Any = None
    ) -> None:
        """From now on this dissector reads it, from the first byte that was kept."""
        if flow.client < 0:
            if len(sides) == 1:
                flow.client, flow.direction = end ^ sides[0], "protocol"
            else:
                self._orient_by_port(flow)
        early, flow.early, flow.heads = flow.early, [], []
        state = self._ask(
            flow, dissector, self._open, dissector, flow.midstream and flow.wire.protocol != UDP, carry, flow.transport
        )
        if state is None:
            return
        flow.phase, flow.dissector, flow.state = "decoded", dissector.name, state
        for piece in early:
            self.data(flow, piece.end, piece.data, piece.timestamp, piece.offset)
        for ended in (0, 1):
            if flow.told >> ended & 1:
                self.finish(flow, ended, flow.last)

    @staticmethod
    def _open(dissector: Dissector, midstream: bool, carry: Any, transport: str) -> Any:
        return dissector.open(midstream=midstream, carry=carry, transport=transport)

    def _count_only(self, flow: Flow, why: str) -> None:
        for end in (0, 1):
            self._stash(flow, end, len(flow.early))
        flow.phase, flow.why = "counted", why
        self.counts.add("decode.undecoded", reason=why)

    def _ask_listeners(self, flow: Flow) -> bool:
        wire = flow.wire
        ends = (wire.src, wire.sport), (wire.dst, wire.dport)
        server = listening_end(self.maker.names, ends, flow.last)
        if server >= 0:
            flow.client, flow.direction = 1 - server, "listener"
        return server >= 0

    def _orient_by_port(self, flow: Flow) -> None:
        server = self.identifier.server_by_port(flow.transport, flow.ports(), flow.opener)
        flow.client, flow.direction = 1 - server, "port"

    # What dissectors give.

    def _ask(self, flow: Flow | None, dissector: Dissector, call: Callable[..., Any], *args: Any) -> Any:
        """Call a dissector, and catch what it raises: then its flow is not read on."""
        try:
            given = call(*args)
            return [*given] if type(given) is GeneratorType else given
        except Exception:
            self._failed(flow, dissector)
            return None

    def _failed(self, flow: Flow | None, dissector: Dissector) -> None:
        self.counts.add("decode.dissector_failed", reason=dissector.name)
        if flow is not None:
            self.note(flow, f"dissector {dissector.name} failed")
            self.give_up(flow, f"dissector {dissector.name} failed")

    def _take_outputs(self, flow: Flow, outputs: Any) -> None:
        for output in outputs or ():
            kind = type(output)
            if kind is Exchange:
                if output.protocol not in flow.found and len(flow.found) < MAX_LEAVES:
                    flow.found.append(output.protocol)
                self.out.append(self.maker.exchange(flow, output))
            elif kind is Leave:
                self._leave(flow, output)
                return
            else:
                self.give_up(flow, output.reason)
                return

    def _leave(self, flow: Flow, leave: Leave) -> None:
        flow.leaves += 1
        heir = self.identifier.get(leave.protocol)
        if flow.leaves > MAX_LEAVES:
            self.give_up(flow, f"left its protocol {flow.leaves} times")
            return
        if leave.protocol and heir is None:
            self.give_up(flow, f"left for {leave.protocol}, which nobody reads")
            return
        flow.phase, flow.state, flow.midstream, flow.probes = "identify", None, False, 0
        if heir is not None:
            self._read_by(flow, heir, flow.client, (Side.CLIENT,), leave.carry)
        rests = zip(_SIDES, leave.timestamps, leave.offsets, leave.rest, strict=True)
        for side, timestamp, offset, rest in sorted((r for r in rests if r[3]), key=lambda r: r[1]):
            self.data(flow, flow.client ^ side, rest, timestamp, offset)
