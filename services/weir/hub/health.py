"""How the installation is, in words, from heartbeats, the control document and what was lost. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import msgspec

from weir.model.control import Control
from weir.model.health import Heartbeat

MISSED_BEATS = 3
"""So many heartbeats that did not come mean that a process is gone."""
LAG_WORTH_SAYING = 10_000
"""Records; fewer are read within a moment."""
HOUR_NS = 3600 * 10**9

OUTLINE = "connections only, no payload; add --target all or name what you want"

Verdict = Literal["ok", "degraded", "down"]


class Target(msgspec.Struct, frozen=True, kw_only=True):
    outline: bool
    """Nothing is targeted: only connections, no payload."""
    capture: bool = True
    targets: list[str] = []
    bodies: bool = False
    sample_rate: float = 1.0
    says: str = ""


class Loss(msgspec.Struct, frozen=True, kw_only=True):
    """Something is missing from what is shown."""

    process: str
    what: str
    """`stage.reason`."""
    count: int
    """Since the process started."""
    per_s: float = 0.0
    """Over its last heartbeat interval; 0 means that it is over."""
    says: str


class Process(msgspec.Struct, frozen=True, kw_only=True):
    process: str
    stages: list[str]
    state: Literal["up", "gone"]
    age_s: float
    """Since its last heartbeat."""
    uptime_s: float
    mode: dict[str, str]
    counters: dict[str, int]
    rates: dict[str, float]
    lag: dict[str, int]
    lost: dict[str, int]
    cpu_s: float
    rss_bytes: int
    notes: list[str]


class Health(msgspec.Struct, frozen=True, kw_only=True):
    verdict: Verdict
    says: list[str]
    """One sentence for each thing that a person should know."""
    target: Target
    losses: list[Loss]
    archive: str = ""
    """What history is read from."""
    followers: int = 0
    processes: list[Process]
    now_ns: int


def health(
    heartbeats: Iterable[Heartbeat],
    control: Control | None,
    now_ns: int,
    *,
    archive: str = "",
    followers: int = 0,
    trouble: Iterable[str] = (),
) -> Health:
    """The whole picture; `trouble` is what this hub itself finds wrong."""
    processes = sorted((_process(beat, now_ns) for beat in heartbeats), key=lambda one: one.process)
    losses = [loss for one in processes for loss in _losses(one)]
    says = [*trouble, *_says(processes)]
    gone = [one for one in processes if one.state == "gone"]
    verdict: Verdict = "degraded" if says or gone or any(loss.per_s for loss in losses) else "ok"
    if not processes or len(gone) == len(processes):
        verdict = "down"
        says = [*says, "no process of weir reports; is anything running on this bus and instance?"]
    return Health(
        verdict=verdict, says=says, target=target_of(control), losses=losses, archive=archive, followers=followers,
        processes=processes, now_ns=now_ns,
    )


def target_of(control: Control | None) -> Target:
    """What is asked for, and what it means for a reader."""
    if control is None:
        return Target(outline=True, says=f"nothing was asked for yet: {OUTLINE}")
    says = OUTLINE if control.outline else ""
    if not control.capture:
        says = "capture is switched off"
    return Target(
        outline=control.outline, capture=control.capture, targets=list(control.targets), bodies=control.bodies,
        sample_rate=control.sample_rate, says=says,
    )


def _process(beat: Heartbeat, now_ns: int) -> Process:
    age_s = max(now_ns - beat.sent_ns, 0) / 1e9
    return Process(
        process=beat.process,
        stages=list(beat.stages),
        state="gone" if age_s > MISSED_BEATS * max(beat.interval_s, 0.1) else "up",
        age_s=round(age_s, 1),
        uptime_s=round(max(now_ns - beat.started_ns, 0) / 1e9, 1),
        mode=beat.mode, counters=beat.counters, rates=beat.rates, lag=beat.lag, lost=beat.lost,
        cpu_s=beat.cpu_s, rss_bytes=beat.rss_bytes, notes=list(beat.notes),
    )


def _losses(process: Process) -> list[Loss]:
    made = []
    for what, count in sorted(process.lost.items()):
        per_s = process.rates.get(f"lost.{what}", 0.0) if process.state == "up" else 0.0
        now = f", {per_s:,.0f} a second now" if per_s else ", none now"
        says = f"{process.process} lost {count:,} ({what}){now}"
        made.append(Loss(process=process.process, what=what, count=count, per_s=per_s, says=says))
    return made


def _says(processes: list[Process]) -> list[str]:
    says = []
    for one in processes:
        if one.state == "gone":
            says.append(f"{one.process} has not reported for {one.age_s:,.0f} s")
            continue
        says += [f"{one.process}: {note}" for note in one.notes]
        behind = sum(one.lag.values())
        if behind >= LAG_WORTH_SAYING:
            says.append(f"{one.process} is {behind:,} records behind: what it shows is not the newest")
    return says
