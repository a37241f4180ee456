"""Live packets of Linux by AF_PACKET: TPACKET_V3 rings whose blocks are handed over whole, behind a kernel filter.

Packets are stamped by the kernel before they reach the ring. The clock that a ring tells stays behind them: behind the
last stamp of a block by what CPUs may overtake each other, and without packets behind the wall clock by the time that
a block can stay open.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncGenerator, Iterable, Iterator
from typing import ClassVar

import msgspec

from weir.capture.bpf.choose import Filter, choose_filter
from weir.capture.bpf.program import REJECT
from weir.capture.own import OWN_ENDS, own_ends
from weir.capture.permission import interface_index
from weir.capture.ring import Ring
from weir.capture.settings import CaptureSettings
from weir.capture.tpacket import PacketRing, RingBlock
from weir.errors import SettingsError, SourceError
from weir.model.control import OUTLINE, Control, EndpointRecord
from weir.model.packets import LINKTYPE_BY_HATYPE, LINKTYPE_ETHERNET, PacketBlock
from weir.net.target import Target
from weir.runtime.service import Context

_MS = 1_000_000
_OVERTAKE_NS = 20 * _MS
"""How late a packet may come into a block: a CPU can be interrupted between stamp and ring."""
_SCHEDULING_MS = 100
_TAKE = 8
"""Blocks of a ring that are handed on before others get their turn."""
_ARPHRD_ETHER, _ARPHRD_LOOPBACK = 1, 772


class Lane(msgspec.Struct):
    """One ring at work."""

    interface: str
    ring: Ring
    packets: PacketRing
    linktype: int
    names: dict[int, str]
    tick_s: float = 0.0
    """When its clock has to be told, unless a block does so before; on the monotonic clock."""
    look_s: float = 0.0
    """When its drops and names are looked up."""
    until_s: float = 0.0
    """Its interface was removed: until then the kernel gives the block that was open; 0 while it is there."""
    gone: bool = False
    """Its interface was removed. Its clock goes on while others are captured: they may show its conversations now."""


class AfPacketSource:
    name: ClassVar[str] = "af_packet"
    live: ClassVar[bool] = True

    def __init__(self, settings: CaptureSettings, context: Context) -> None:
        self._settings = settings
        self._context = context
        self._control = OUTLINE
        self._exclude: list[Target] = []
        self._lanes: dict[int, Lane] = {}
        self._wake = asyncio.Event()
        self._filter: Filter | None = None
        self._early: list[tuple[bytes, EndpointRecord | None]] = []
        """What was learned before there was a filter."""

    @classmethod
    def fits(cls, settings: CaptureSettings) -> bool:
        return not settings.files

    def follow(self, control: Control) -> None:
        """Swap the kernel filter, nothing is reopened. What the ring holds already was let in by the one before."""
        self._control = control
        if self._filter is not None:
            self._filter.adopt(control)
            self._tell()

    def learn(self, changes: Iterable[tuple[bytes, EndpointRecord | None]]) -> None:
        if self._filter is not None:
            self._filter.learn(changes)
        else:
            self._early.extend(changes)

    def refused(self, block: PacketBlock) -> None:
        if block.ring in self._lanes:
            self._lanes[block.ring].ring.refused(block)

    async def blocks(self) -> AsyncGenerator[PacketBlock]:
        context, loop = self._context, asyncio.get_running_loop()
        own = context.shared.get(OWN_ENDS, [])
        self._exclude, notes = await own_ends([*self._settings.exclude, *own])
        if notes:
            context.notes["capture.exclude"] = "; ".join(notes)
        stopped = asyncio.ensure_future(context.stop.wait())
        stopped.add_done_callback(lambda _: self._wake.set())
        try:
            self._open()
            for lane in self._lanes.values():
                loop.add_reader(lane.packets.fileno(), self._wake.set)
            while not context.stop.is_set():
                await self._woken(self._settings.tick_s)
                async for block in self._drain():
                    yield block
            async for block in self._end():
                yield block
        finally:
            stopped.cancel()
            for lane in list(self._lanes.values()):
                self._close(lane)
            if self._filter is not None:
                self._filter.close()
                self._filter = None

    # Opening

    def _open(self) -> None:
        """Every ring closed, then its interface, then its group, then the filter: nothing is seen by two rings."""
        if not self._settings.interfaces:
            raise SettingsError("capture.interfaces: there is none", hint="name one, or `any`")
        run = self._context.clock.now_ns()
        node = self._settings.node or self._context.node
        for position, interface in enumerate(dict.fromkeys(self._settings.interfaces)):
            group: int | None = None
            for number in range(self._settings.rings):
                packets = PacketRing(
                    block_bytes=self._settings.block_bytes, blocks=self._settings.ring_blocks,
                    retire_ms=self._settings.retire_ms,
                )
                ring = Ring(
                    node=node, ring=position * self._settings.rings + number, run=run, source=self.name,
                    layout="tpacket3",
                )
                lane = Lane(interface, ring, packets, LINKTYPE_BY_HATYPE, {})
                self._lanes[ring.number] = lane
                packets.attach(REJECT)
                self._bind(lane)
                if self._settings.rings > 1:
                    group = packets.join(group)
        self._filter = choose_filter(self._settings, self._context, self._exclude)
        self._filter.learn(self._early)
        self._early.clear()
        self._filter.adopt(self._control)
        for lane in self._lanes.values():
            self._filter.attach(lane.packets)
        self._tell()

    def _bind(self, lane: Lane) -> None:
        """`any` mixes link layers, so there each packet tells its own; so do interfaces that are not Ethernet."""
        if lane.interface == "any":
            lane.packets.bind(0)
            return
        index = interface_index(lane.interface)
        kind = lane.packets.hardware_type(lane.interface)
        if kind == _ARPHRD_LOOPBACK:
            lane.packets.ignore_outgoing()
        if kind in (_ARPHRD_ETHER, _ARPHRD_LOOPBACK):
            lane.linktype = LINKTYPE_ETHERNET
        lane.names = {index: lane.interface}
        lane.packets.bind(index)

    # Filtering

    def _tell(self) -> None:
        if self._filter is None:
            return
        for lane in self._lanes.values():
            lane.ring.generation = self._control.generation
            lane.ring.promise = self._filter.promise
        interfaces = ", ".join(dict.fromkeys(lane.interface for lane in self._lanes.values()))
        rings = f" in {self._settings.rings} rings" if self._settings.rings > 1 else ""
        self._context.modes["capture.source"] = f"af_packet on {interfaces}{rings}, {self._filter.title}"

    # Working

    async def _woken(self, seconds: float) -> None:
        """Until a ring has a block, or it is time for a tick, or to stop."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        self._wake.clear()

    async def _drain(self) -> AsyncGenerator[PacketBlock]:
        """Whatever the rings have, in turns, until all are empty; and what is due every second or so."""
        busy = True
        while busy:
            busy = False
            for lane in list(self._lanes.values()):
                # Before the look into the ring: what it does not have now is younger than this.
                now_ns, now_s = self._context.clock.now_ns(), self._context.clock.monotonic()
                if now_s >= lane.look_s and not lane.gone:
                    lane.look_s = now_s + self._settings.tick_s
                    self._look_after(lane)
                for taken in () if lane.gone else lane.packets.take(_TAKE):
                    busy, lane.tick_s = True, now_s + self._settings.tick_s
                    yield self._block(lane, taken)
                if now_s >= lane.tick_s:
                    lane.tick_s = now_s + self._settings.tick_s
                    yield self._tick(lane, now_ns)
                if not (busy or lane.gone) and self._is_over(lane, now_s):
                    self._look_after(lane)
                    self._retire(lane)
            if all(lane.gone for lane in self._lanes.values()):
                for lane in self._lanes.values():
                    yield self._last(lane)
                raise SourceError(
                    f"nothing is left to capture: {', '.join(self._settings.interfaces)} was removed",
                    hint="start again when it is back, or capture on `any`, which stays",
                )
            for block in self._totals():
                yield block
            await asyncio.sleep(0)

    def _totals(self, *, final: bool = False) -> Iterator[PacketBlock]:
        """What the kernel counted, told in the first ring."""
        now_s = self._context.clock.monotonic()
        if self._filter is None:
            return
        self._filter.look_after(now_s)
        for data, count in self._filter.tallies(now_s, final=final):
            lane = next(iter(self._lanes.values()))
            if lane.interface == "any":
                lane.names = dict(socket.if_nameindex())
            yield lane.ring.block(
                lane.ring.clock_ns, linktype=lane.linktype, layout="tallies", data=data, count=count,
                interfaces=lane.names,
            )

    def _block(self, lane: Lane, taken: RingBlock) -> PacketBlock:
        return lane.ring.block(
            taken.last_ns - _OVERTAKE_NS, linktype=lane.linktype, data=taken.data, count=taken.count,
            interfaces=lane.names,
        )

    def _tick(self, lane: Lane, now_ns: int) -> PacketBlock:
        """The ring was empty at `now_ns`: whatever comes is younger than the oldest block that could be open then."""
        return lane.ring.block(now_ns - round(self._open_s() * 1e9), linktype=lane.linktype)

    def _look_after(self, lane: Lane) -> None:
        dropped = lane.packets.dropped()
        self._context.counts.lose("capture.kernel", dropped)
        lane.ring.lose(dropped)
        if lane.interface == "any":
            lane.names = dict(socket.if_nameindex())

    def _is_over(self, lane: Lane, now_s: float) -> bool:
        """Whether its interface was removed, and everything was taken that it showed."""
        if not lane.until_s and lane.packets.trouble() and self._removed(lane):
            lane.until_s = now_s + self._open_s()
        return 0 < lane.until_s <= now_s

    def _open_s(self) -> float:
        """How long a block can stay open: the kernel retires it at the second turn of its timer at the latest."""
        return (2 * self._settings.retire_ms + _SCHEDULING_MS) / 1000

    def _removed(self, lane: Lane) -> bool:
        """An interface that comes up again is captured by the same socket; one that was removed never is."""
        part = f"capture.{lane.interface}"
        if lane.interface == "any":
            return False
        removed = lane.interface not in (name for _, name in socket.if_nameindex())
        self._context.notes[part] = f"{lane.interface} {'was removed' if removed else 'went down'}"
        return removed

    # Ending

    async def _end(self) -> AsyncGenerator[PacketBlock]:
        """Close the filter, wait until the kernel gave the blocks that are open, and end every ring."""
        for lane in self._lanes.values():
            if not lane.gone:
                lane.packets.attach(REJECT)
        await self._context.clock.sleep((2 * self._settings.retire_ms + 50) / 1000)
        async for block in self._drain():
            yield block
        for block in self._totals(final=True):
            yield block
        for lane in list(self._lanes.values()):
            yield self._last(lane)

    def _last(self, lane: Lane) -> PacketBlock:
        if not lane.gone:
            self._look_after(lane)
        return lane.ring.block(self._context.clock.now_ns(), linktype=lane.linktype, end=True)

    def _close(self, lane: Lane) -> None:
        if not lane.gone:
            self._retire(lane)
        del self._lanes[lane.ring.number]

    def _retire(self, lane: Lane) -> None:
        lane.gone = True
        asyncio.get_running_loop().remove_reader(lane.packets.fileno())
        if self._filter is not None:
            self._filter.detach(lane.packets)
        lane.packets.close()


SOURCE = AfPacketSource
