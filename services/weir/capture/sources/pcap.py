"""Capture files, one after the other: each one its own run, spread over as many rings as the settings say.

However a file is split, every ring tells the clock of the whole file, so that timers act alike.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable, Iterator
from pathlib import PurePath
from typing import ClassVar

from weir.capture.ring import Ring
from weir.capture.settings import CaptureSettings
from weir.capture.split import split
from weir.capture.streams import QUIET, BrokenStreamError, CaptureStream, Reader, is_regular
from weir.errors import SettingsError, SourceError
from weir.model.control import Control, EndpointRecord
from weir.model.packets import PacketBlock
from weir.net.pcapfile import CaptureFile
from weir.net.records import Damage, Records
from weir.runtime.service import Context

_QUIET_S = 0.2
"""A pipe that gives nothing for so long gets its packets published as they are."""
_SUFFIXES = frozenset((".gz", ".zst", ".zstd", ".pcap", ".pcapng", ".cap", ".ntar"))


def stem(path: str) -> str:
    """Name of the node that stands for a file: `/tmp/checkout.pcap.zst` is `checkout`."""
    if path == "-":
        return "stdin"
    name = PurePath(path)
    while name.suffix.lower() in _SUFFIXES:
        name = name.with_suffix("")
    return name.name


class PcapSource:
    name: ClassVar[str] = "pcap"
    live: ClassVar[bool] = False

    def __init__(self, settings: CaptureSettings, context: Context) -> None:
        if not settings.files:
            raise SettingsError("capture.files: there is nothing to read", hint="name files; - is the standard input")
        if settings.ring >= settings.rings:
            raise SettingsError(
                f"capture.ring: there is no ring {settings.ring} of {settings.rings}",
                hint=f"rings are numbered 0 to {settings.rings - 1}; capture.rings says how many there are",
            )
        if settings.files.count("-") > 1:
            raise SettingsError("capture.files: the standard input can be read only once", hint="name - once")
        self._settings = settings
        self._context = context
        self._generation = 0
        self._run = 0
        self._rings: list[Ring] = []

    @classmethod
    def fits(cls, settings: CaptureSettings) -> bool:
        return bool(settings.files)

    def follow(self, control: Control) -> None:
        """Files have no kernel filter: what is not wanted is sorted out by the stages behind."""
        self._generation = control.generation

    def learn(self, changes: Iterable[tuple[bytes, EndpointRecord | None]]) -> None:
        """Likewise."""

    def refused(self, block: PacketBlock) -> None:
        self._rings[block.ring].refused(block)

    async def blocks(self) -> AsyncGenerator[PacketBlock]:
        for path in self._settings.files:
            check(path)
        for path in self._settings.files:
            if self._context.stop.is_set():
                return
            async for block in self._file(path):
                yield block

    async def _file(self, path: str) -> AsyncGenerator[PacketBlock]:
        file = CaptureFile("the standard input" if path == "-" else path)
        reader = Reader(path, self._context.stop)
        hold = Hold()
        self._begin(path)
        try:
            while count := await self._read(reader, file):
                for block in self._spread(hold.take() if count == QUIET else hold.put(file.took(count))):
                    yield block
            for block in self._spread(hold.take()):
                yield block
            if not (self._context.stop.is_set() or file.damage):
                file.finish()
            refuse_damaged(file)
            self._report(file)
            for ring in self._wanted():
                yield ring.block(hold.high_ns, end=True)
        finally:
            await reader.close()

    async def _read(self, reader: Reader, file: CaptureFile) -> int:
        """As `Reader.read`; 0 also where the file cannot be followed any more, and when it is time to stop."""
        if file.damage or self._context.stop.is_set():
            return 0
        try:
            return await reader.read(file.room())
        except BrokenStreamError as error:
            file.damage = Damage(reason="unreadable", at=0, text=str(error))
            return 0

    def _begin(self, path: str) -> None:
        """A run for each file: what a name stood for before is over."""
        self._run = max(self._context.clock.now_ns(), self._run + 1)
        node = self._settings.node or stem(path)
        self._rings = [
            Ring(node=node, ring=number, run=self._run, source=self.name) for number in range(self._settings.rings)
        ]

    def _wanted(self) -> list[Ring]:
        """The rings that this process gives."""
        return self._rings if self._settings.ring < 0 else [self._rings[self._settings.ring]]

    def _spread(self, ready: Iterable[tuple[Records, int]]) -> Iterator[PacketBlock]:
        for records, clock_ns in ready:
            parts = split(records, len(self._rings))
            self._context.counts.add("capture.read", records.count)
            for ring in self._wanted():
                data, count = parts[ring.number]
                if not count and clock_ns <= ring.clock_ns:
                    continue  # it would tell nothing
                ring.generation = self._generation
                yield ring.block(clock_ns, linktype=records.linktype, data=data, count=count)

    def _report(self, file: CaptureFile) -> None:
        """Tell what is missing. Among processes that share a file, the one with the first ring does."""
        lost = file.lost
        self._context.modes["capture.source"] = f"{file.name}: {file.title}"
        if file.damage:
            self._tell(f"{file.name}: {file.damage.text}; {file.packets} packets were read before it")
        if self._settings.ring > 0:
            return
        if lost:
            self._context.counts.lose("capture.recorder", lost)
        if file.damage:
            self._context.counts.lose(f"capture.{file.damage.reason}")
            lost += 1
        self._rings[0].lose(lost)

    def _tell(self, note: str) -> None:
        """Beside what was told of files before this one."""
        notes = self._context.notes
        notes["capture.source"] = "; ".join(told for told in (notes.get("capture.source"), note) if told)


class Hold:
    """Keeps back the newest packets until what follows them is known, so that the clock is not ahead of it.

    Recorders write packets of several queues slightly out of order. A packet that comes more than one chunk late
    (about 512 KiB of packets) is behind the clock all the same.
    """

    def __init__(self) -> None:
        self.high_ns = 0
        """The latest stamp so far."""
        self._clock_ns = 0
        self._held: list[Records] = []

    def put(self, records: list[Records]) -> list[tuple[Records, int]]:
        """Hold these; answers those that were held, each with the clock to tell with it."""
        if not records:
            return []
        low_ns = min(r.low_ns for r in records)
        ready = self._release(min(self.high_ns, low_ns))
        self._held = records
        self.high_ns = max(self.high_ns, *(r.high_ns for r in records))
        return ready

    def take(self) -> list[tuple[Records, int]]:
        """Nothing follows for now."""
        return self._release(self.high_ns)

    def _release(self, clock_ns: int) -> list[tuple[Records, int]]:
        """Of several link types in one chunk only the last may tell the new clock."""
        held, self._held = self._held, []
        before, self._clock_ns = self._clock_ns, max(self._clock_ns, clock_ns) if held else self._clock_ns
        return [(r, self._clock_ns if n == len(held) - 1 else before) for n, r in enumerate(held)]


def check(path: str) -> None:
    """Find out that a file is missing, is none, or lies from its first record on, before anything is given."""
    if not is_regular(path):
        return
    stream = CaptureStream(path)
    file = CaptureFile(path)
    try:
        room = file.room()
        count = stream.readinto(room)
        file.took(count)
        if count < len(room):
            file.finish()
    except BrokenStreamError as error:
        raise SourceError(f"{path} cannot be read: {error}", hint="name a capture file; try to unpack it") from None
    finally:
        stream.close()
    refuse_damaged(file)


def refuse_damaged(file: CaptureFile) -> None:
    """Raise SourceError if nothing can be read of a file. What comes before damage is worth reading."""
    if file.damage and not file.packets:
        raise SourceError(
            f"{file.name} is damaged: {file.damage.text}", hint="record it again; nothing of it can be read"
        )


SOURCE = PcapSource
