"""What a person should know of the time before a process began: why the one before it ended, and for how long nobody
was there. Heartbeats say it for `TOLD_S`."""

from __future__ import annotations

import asyncio
import contextlib
import time
from pathlib import Path

import msgspec

from weir.bus.api import Bus
from weir.bus.topics import HEALTH
from weir.errors import BusError
from weir.model.health import Heartbeat

TOLD_S = 600.0
READ_S = 10.0
"""How long the last heartbeat of the process before this one is looked for."""
LAST_WORD = "ended.json"


class LastWord(msgspec.Struct, frozen=True, kw_only=True):
    """What a process that fails leaves in its data folder, for the next one."""

    process: str
    at_ns: int
    says: str


def leave_word(folder: Path, word: LastWord) -> None:
    """Where the folder cannot be written the log alone has it."""
    with contextlib.suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / LAST_WORD).write_bytes(msgspec.json.encode(word))


def last_word(folder: Path, process: str, now_ns: int) -> str:
    """What the process before this one said as it failed, once; empty where it did not, or long ago."""
    file = folder / LAST_WORD
    try:
        word = msgspec.json.decode(file.read_bytes(), type=LastWord)
        if word.process != process:
            return ""
        file.unlink()
    except (OSError, msgspec.DecodeError):
        return ""
    if now_ns - word.at_ns > TOLD_S * 1e9:
        return ""
    return f"began anew after {clock(word.at_ns)}: {word.says}"


async def last_heartbeat_ns(bus: Bus, process: str) -> int:
    """When the process before this one was last there, if it could not say that it ended; 0 if it could, if there was
    none, or if nobody tells. To be asked before this one's first heartbeat."""
    try:
        async with asyncio.timeout(READ_S):
            beats = await bus.read_compacted(HEALTH, 0)
    except (BusError, TimeoutError):
        return 0
    last = beats.get(process.encode())
    return last.sent_ns if isinstance(last, Heartbeat) else 0


def absence(since_ns: int, until_ns: int) -> str:
    seconds = (until_ns - since_ns) / 1e9
    return f"nobody captured from {clock(since_ns)} to {clock(until_ns)} ({seconds:,.0f} s)"


def clock(at_ns: int) -> str:
    """Time of day, UTC."""
    return time.strftime("%H:%M:%S UTC", time.gmtime(at_ns / 1e9))
