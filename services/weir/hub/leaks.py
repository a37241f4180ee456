"""Leaks in words: what one layer of selection let through and the next one stopped. Pure.

Selection is checked at every layer, and each counts what the layer before it let through as `<stage>.leaked`. Nothing
is shown that was not asked for, but somebody paid for it, and one layer does not do what it promises: an alert.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import msgspec

from weir.model.health import Heartbeat

BEFORE = {
    "filter": "the kernel filter let through what nobody asked for; filter stopped it",
    "decode": "filter let through what nobody asked for; decode stopped it",
    "store": "decode let through what nobody asked for; store stopped it",
    "hub": "store let through what nobody asked for; the hub stopped it",
}
_LEAKED = re.compile(r"(\w+)\.leaked(?:\{(.*)\})?\Z")


class Leak(msgspec.Struct, frozen=True, kw_only=True):
    """What a layer of selection let through."""

    process: str
    stage: str
    """Who found it."""
    reason: str = ""
    count: int
    """Since the process started."""
    per_s: float = 0.0
    """Over its last heartbeat interval; 0 means that it is over."""
    says: str


def leaks(beats: Iterable[Heartbeat]) -> list[Leak]:
    """Every leak that a process counted."""
    return [leak for beat in beats for leak in _leaks(beat)]


def is_leak(note: str) -> bool:
    """Whether a note of a heartbeat (`part: text`) tells of a leak, which is told here."""
    return note.partition(":")[0].endswith(".leaked")


def _leaks(beat: Heartbeat) -> Iterable[Leak]:
    notes = dict(note.split(".leaked: ", 1) for note in beat.notes if is_leak(note) and ".leaked: " in note)
    counted = set()
    for name, count in sorted(beat.counters.items()):
        found = _LEAKED.match(name)
        if found is None or not count:
            continue
        stage, reason = found[1], found[2] or ""
        counted.add(stage)
        per_s = beat.rates.get(name, 0.0)
        what = notes.get(stage) or BEFORE.get(stage, f"{stage} was given what nobody asked for")
        now = f"{per_s:,.1f} a second now" if per_s else "none now"
        why = f" ({reason})" if reason else ""
        says = f"LEAK found by {beat.process}: {what}: {count:,}{why}, {now}"
        yield Leak(process=beat.process, stage=stage, reason=reason, count=count, per_s=per_s, says=says)
    for stage, text in sorted(notes.items()):
        if stage not in counted:
            yield Leak(process=beat.process, stage=stage, count=0, says=f"LEAK found by {beat.process}: {text}")
