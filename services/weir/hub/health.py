"""How the installation is, in words, from heartbeats, the control document and what was lost. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import msgspec

from weir.hub.leaks import Leak, is_leak, leaks
from weir.hub.lost import Lost
from weir.hub.nodes import NodeRate, node_rates
from weir.model.control import Control
from weir.model.health import Heartbeat

MISSED_BEATS = 3
"""So many heartbeats that did not come mean that a process is gone."""
LAG_WORTH_SAYING = 10_000
"""Records; fewer are read within a moment."""
HOUR_NS = 3600 * 10**9

OUTLINE = "connections only, no payload; add --target all or name what you want"
OUTLINE_OF_PODS = (
    "connections and DNS only, no payload: `weir tap POD -n NAMESPACE` turns it on while you look, "
    "`weir targets add POD -n NAMESPACE` until you remove it"
)
NODE_CEILING = 20_000_000
"""Bytes a second that a node sends to the bus at most."""

Verdict = Literal["ok", "degraded", "down"]


class Targeted(msgspec.Struct, frozen=True, kw_only=True):
    """What the endpoints say of pods now."""

    pods: int = 0
    """Pods that are there."""
    targeted: int = 0
    """Those whose payload is wanted."""
    nodes: list[str] = []
    """Where they are."""
    rules: list[str] = []
    """Rules that target any of them."""


class Target(msgspec.Struct, frozen=True, kw_only=True):
    outline: bool
    """Nothing is targeted: only connections, no payload."""
    capture: bool = True
    targets: list[str] = []
    """Addresses, networks and ports that are targeted; pods are told in `targeted`."""
    targeted: Targeted = Targeted()
    now: str = ""
    """What is targeted now, in words."""
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
    node: str = ""


class Health(msgspec.Struct, frozen=True, kw_only=True):
    verdict: Verdict
    says: list[str]
    """One sentence for each thing that a person should know."""
    target: Target
    losses: list[Loss]
    lost: list[Lost] = []
    """When it went missing, as long as this hub has been there; the newest of it."""
    leaks: list[Leak] = []
    """What a layer of selection let through and the next one stopped."""
    nodes: list[NodeRate] = []
    """What each node sends to the bus."""
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
    targeted: Targeted = Targeted(),  # noqa: B008 (a frozen value)
    archive: str = "",
    followers: int = 0,
    trouble: Iterable[str] = (),
    node_ceiling: float = NODE_CEILING,
    lost: Iterable[Lost] = (),
) -> Health:
    """The whole picture; `trouble` is what this hub itself finds wrong: as long as there is any, nobody can say
    whether the others are well."""
    trouble = list(trouble)
    beats = sorted(heartbeats, key=lambda beat: beat.process)
    processes = [_process(beat, now_ns) for beat in beats]
    alive = [beat for beat, one in zip(beats, processes, strict=True) if one.state == "up"]
    losses = [loss for one in processes for loss in _losses(one)]
    leaked = leaks(alive)
    nodes = node_rates(alive, node_ceiling)
    says = [*trouble, *(leak.says for leak in leaked), *_says(processes, heard=not trouble), *_above(nodes)]
    gone = len(alive) < len(processes)
    verdict: Verdict = "degraded" if says or gone or any(loss.per_s for loss in losses) else "ok"
    if not alive:
        verdict = "down"
        says = says if trouble else [*says, "no process of weir reports; is anything running on this bus and instance?"]
    return Health(
        verdict=verdict, says=says, target=target_of(control, targeted), losses=losses, lost=list(lost), leaks=leaked,
        nodes=nodes, archive=archive, followers=followers, processes=processes, now_ns=now_ns,
    )


def is_up(beat: Heartbeat, now_ns: int) -> bool:
    return now_ns - beat.sent_ns <= MISSED_BEATS * max(beat.interval_s, 0.1) * 1e9


def target_of(control: Control | None, targeted: Targeted = Targeted()) -> Target:  # noqa: B008 (a frozen value)
    """What is asked for, and what it means for a reader."""
    hint = OUTLINE_OF_PODS if targeted.pods else OUTLINE
    if control is None:
        return Target(outline=True, targeted=targeted, now="nothing", says=f"nothing was asked for yet: {hint}")
    nothing = not control.targets and not targeted.targeted
    says = hint if nothing else ""
    if nothing and control.pods:
        says = f"the rules select no pod now, so there are {hint}"
    elif nothing and not control.outline:
        says = "nothing is targeted, and the outline is switched off: nothing is kept"
    if not control.capture:
        says = "capture is switched off"
    return Target(
        outline=nothing, capture=control.capture, targets=list(control.targets), targeted=targeted,
        now=_now(control, targeted), bodies=control.bodies, sample_rate=control.sample_rate, says=says,
    )


def _now(control: Control, targeted: Targeted) -> str:
    parts = []
    if targeted.targeted:
        rules = ", ".join(targeted.rules[:5]) + (" …" if len(targeted.rules) > 5 else "")
        by = f" by {rules}" if rules else ""
        parts.append(f"{targeted.targeted:,} of {targeted.pods:,} pods on {len(targeted.nodes):,} nodes{by}")
    if control.targets:
        parts.append(", ".join(control.targets[:20]) + (" …" if len(control.targets) > 20 else ""))
    return "; ".join(parts) or "nothing"


def _above(nodes: list[NodeRate]) -> list[str]:
    return [
        f"{one.node} is at its ceiling of {one.ceiling_mb_per_s:g} MB/s to the bus: whole conversations are left out "
        "there; narrow the rules (`weir targets list`) or raise the ceiling"
        for one in nodes if one.above
    ]


def _process(beat: Heartbeat, now_ns: int) -> Process:
    age_s = max(now_ns - beat.sent_ns, 0) / 1e9
    return Process(
        process=beat.process,
        stages=list(beat.stages),
        state="up" if is_up(beat, now_ns) else "gone",
        age_s=round(age_s, 1),
        uptime_s=round(max(now_ns - beat.started_ns, 0) / 1e9, 1),
        mode=beat.mode, counters=beat.counters, rates=beat.rates, lag=beat.lag, lost=beat.lost,
        cpu_s=beat.cpu_s, rss_bytes=beat.rss_bytes, notes=list(beat.notes),
        node=beat.node,
    )


def _losses(process: Process) -> list[Loss]:
    made = []
    for what, count in sorted(process.lost.items()):
        per_s = process.rates.get(f"lost.{what}", 0.0) if process.state == "up" else 0.0
        now = f", {per_s:,.0f} a second now" if per_s else ", none now"
        says = f"{process.process} lost {count:,} ({what}){now}"
        made.append(Loss(process=process.process, what=what, count=count, per_s=per_s, says=says))
    return made


def _says(processes: list[Process], *, heard: bool) -> list[str]:
    """`heard`: this hub would hear of those that report."""
    says = []
    for one in processes:
        if one.state == "gone":
            if heard:
                says.append(f"{one.process} has not reported for {one.age_s:,.0f} s")
            continue
        says += [f"{one.process}: {note}" for note in one.notes if not is_leak(note)]
        behind = sum(one.lag.values())
        if behind >= LAG_WORTH_SAYING:
            says.append(f"{one.process} is {behind:,} records behind: what it shows is not the newest")
    return says
