"""Why the traffic of a pod is shown, or is not: one answer from everything that the installation says of itself. Pure.

The first thing on the way from the pod to the reader that keeps its calls away is the verdict; what else is worth
knowing follows in `also`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

import msgspec

from weir.archive.api import Statistics
from weir.directory.selector import compile_targets
from weir.hub.nodes import SHED
from weir.hub.pods import Pod, gather
from weir.model.control import Control, EndpointRecord, Rule
from weir.model.health import Heartbeat
from weir.rules import Matcher

Verdict = Literal[
    "unknown", "ended", "off", "excluded", "not_targeted", "unseen", "lost", "encrypted", "sampled", "undecoded",
    "silent", "ok",
]

GROUPS = ("protocol", "kind", "src_namespace", "src_name", "dst_namespace", "dst_name")
"""How the archive is to group the pod's entries."""
CONDITIONS = ("namespaces", "exclude_namespaces", "pod", "labels", "workload", "node", "service")
"""Conditions of a rule, any of which may be what keeps it from a pod."""
NEAR = 3
"""Rules that nearly fit, or pods with a similar name, that are told."""


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """What came of the pod lately."""

    since_s: int
    exchanges: int = 0
    """Decoded calls and messages."""
    failed: int = 0
    handshakes: int = 0
    """TLS connections whose content cannot be read."""
    flows: int = 0
    hidden: int = 0
    """Probes and views in front of a service, which lists leave out."""
    protocols: dict[str, int] = {}


class Why(msgspec.Struct, frozen=True, kw_only=True):
    """The answer."""

    pod: str
    """`namespace/name`."""
    verdict: Verdict
    says: str
    hint: str = ""
    also: list[str] = []
    targeted: bool = False
    rules: list[str] = []
    """Rules that target it."""
    node: str = ""
    workload: str = ""
    seen: Seen


class Situation(msgspec.Struct, frozen=True, kw_only=True):
    """All that is known."""

    namespace: str
    name: str
    records: Sequence[EndpointRecord]
    rules: Sequence[Rule]
    control: Control | None
    beats: Sequence[Heartbeat]
    """Of processes that are up."""
    seen: Seen


def seen_of(groups: Iterable[Statistics], namespace: str, name: str, since_s: int, everything: int = 0) -> Seen:
    """The pod's part of what the archive counted by `GROUPS`; `everything` counts hidden entries, too."""
    exchanges = failed = handshakes = flows = entries = 0
    protocols: dict[str, int] = {}
    for group in groups:
        if not is_of(group, namespace, name):
            continue
        protocol, kind = str(group.key[0]), group.key[1]
        entries += group.entries
        if kind == "flow":
            flows += group.entries
            continue
        protocols[protocol] = protocols.get(protocol, 0) + group.entries
        if kind == "handshake":
            handshakes += group.entries
        else:
            exchanges += group.entries
            failed += round(group.errors)
    return Seen(
        since_s=since_s, exchanges=exchanges, failed=failed, handshakes=handshakes, flows=flows,
        hidden=max(everything - entries, 0), protocols=protocols,
    )


def is_of(group: Statistics, namespace: str, name: str) -> bool:
    """Whether the pod is one of both ends of a group of `GROUPS`."""
    return (namespace, name) in (group.key[2:4], group.key[4:6])


def why(known: Situation) -> Why:
    """The verdict on one pod."""
    pod, ended = _find(known)
    if pod is None:
        return _nobody(known, ended)
    control = known.control
    by_address = [text for text in (control.targets if control is not None else ()) if _hits(text, pod)]
    targeted = pod.targeted or bool(by_address)
    answer = Why(
        pod=f"{known.namespace}/{known.name}", verdict="ok", says="", targeted=targeted, seen=known.seen,
        rules=[*pod.rules, *by_address], node=pod.node, workload=pod.workload, also=_also(known, pod),
    )
    verdict, says, hint = _untargeted(known, pod, targeted) or _targeted(known, pod)
    return msgspec.structs.replace(answer, verdict=verdict, says=says, hint=hint)


_Told = tuple[Verdict, str, str]


def _find(known: Situation) -> tuple[Pod | None, bool]:
    """The pod; else whether there was one of this name."""
    asked = known.namespace, known.name
    records = [one for one in known.records if one.pod is not None and (one.pod.namespace, one.pod.name) == asked]
    return next(iter(gather(one for one in records if not one.until_ns)), None), bool(records)


def _nobody(known: Situation, ended: bool) -> Why:
    name = f"{known.namespace}/{known.name}"
    if ended:
        says, hint = f"{name} has ended", "its entries are still found by its name, as long as they are kept"
    else:
        similar = _similar(known)
        says = f"weir knows no pod {name}"
        hint = f"similar: {', '.join(similar)}" if similar else (
            "is it the right namespace (-n)? a pod in its node's network has no address of its own: its calls are "
            "those of the node"
        )
        if not any(record.role == "pod" for record in known.records):
            hint = "this installation knows no pods: is `targets` connected to a cluster (`weir status`)?"
    return Why(pod=name, verdict="ended" if ended else "unknown", says=says, hint=hint, seen=known.seen)


def _similar(known: Situation) -> list[str]:
    pods = gather(record for record in known.records if not record.until_ns)
    same = [pod for pod in pods if pod.name == known.name]
    alike = [pod for pod in pods if pod.namespace == known.namespace and pod.name.startswith(known.name)]
    return [str(pod) for pod in [*same, *alike][:NEAR]]


def _untargeted(known: Situation, pod: Pod, targeted: bool) -> _Told | None:
    control = known.control
    if control is not None and not control.capture:
        return "off", "capture is switched off for the whole installation", "switch it on where `targets` is set up"
    excluding = [rule.name for rule in known.rules if rule.exclude and _fits(rule, pod)]
    excluded = [text for text in (control.excluded if control is not None else ()) if _hits(text, pod)]
    if excluding or excluded:
        return (
            "excluded", f"excluded by {', '.join([*excluding, *excluded])}, which wins over every other rule",
            f"`weir targets remove {excluding[0]}`" if excluding else "it comes from the settings of `targets`",
        )
    if targeted:
        return None
    fits = [rule.name for rule in known.rules if not rule.exclude and _fits(rule, pod)]
    if fits:
        return (
            "not_targeted", f"rule {fits[0]} selects it, and has not been applied yet",
            "it takes two seconds; if it stays so, `weir status` tells what `targets` is about",
        )
    nearly = [text for rule in known.rules if not rule.exclude for text in _missed(rule, pod)][:NEAR]
    ports = [text for text in (control.targets if control is not None else ()) if text.startswith("port:")]
    says = "not targeted: no rule selects it, so only its connections and DNS are shown"
    if ports:
        says += f" (but for what goes to or from {', '.join(ports)})"
    if nearly:
        says += "; " + "; ".join(nearly)
    return "not_targeted", says, f"`weir targets add {_suggestion(pod)}` or `weir tap {_suggestion(pod)}` would"


def _fits(rule: Rule, pod: Pod) -> bool:
    if rule.target:
        return _hits(rule.target, pod)
    return bool(Matcher([rule]).selected(rule, pod.records))


def _hits(text: str, pod: Pod) -> bool:
    selector, wrong = compile_targets([text])
    return not wrong and (selector.everything or any(selector.wanted(flow) for flow in pod.flows()))


def _missed(rule: Rule, pod: Pod) -> list[str]:
    """Why a rule that nearly fits does not: the one condition without which it would."""
    if rule.target:
        return []
    for name in CONDITIONS:
        given = getattr(rule, name)
        if given and _fits(msgspec.structs.replace(rule, **{name: type(given)()}), pod):
            wanted = ", ".join(given) if isinstance(given, list) else given
            return [f"rule {rule.name} would, but for its {name.replace('_', ' ')} ({wanted})"]
    return []


def _suggestion(pod: Pod) -> str:
    kind, _, name = pod.workload.partition("/")
    if name and kind != "pod":
        return f"-n {pod.namespace} --workload {pod.workload}"
    return f"{pod.name} -n {pod.namespace}"


def _targeted(known: Situation, pod: Pod) -> _Told:
    seen = known.seen
    lately = f"in the last {seen.since_s // 60} minutes"
    if seen.exchanges:
        what = ", ".join(f"{count:,} {protocol}" for protocol, count in sorted(seen.protocols.items()))
        return "ok", f"its calls are shown: {what} {lately}, {seen.failed:,} of them failed", ""
    capturing = [beat for beat in known.beats if "capture" in beat.stages and beat.node in (pod.node, "")]
    if pod.node and not capturing and not pod.captured:
        return (
            "unseen", f"no capture process of weir works on {pod.node}, where it runs",
            "`weir status` lists the nodes; a taint, a node selector or a failing pod of the DaemonSet keeps it away",
        )
    if any(beat.rates.get(SHED, 0.0) > 0 for beat in capturing):
        return (
            "sampled", f"{pod.node} is above its ceiling, so whole conversations are left out, its own {lately}",
            "narrow the rules (`weir targets list`), or raise capture.ceiling_bytes_s",
        )
    if now := _losing(known.beats):
        return "lost", f"it is targeted, and packets are being lost now: {'; '.join(now)}", "`weir status` tells more"
    if seen.handshakes:
        return (
            "encrypted", f"it speaks TLS that cannot be read: {seen.handshakes:,} handshakes {lately}",
            "names and certificates are shown, contents are not; what a proxy or mesh passes on in clear can be read",
        )
    share = known.control.sample_rate if known.control is not None else 1.0
    if share < 1.0:
        return (
            "sampled", f"only {share:.1%} of all conversations are kept, and none of its own {lately}",
            "raise targets.sample_rate",
        )
    if seen.flows:
        return (
            "undecoded", f"{seen.flows:,} of its connections were seen {lately}, and none was decoded",
            "its protocol is none that weir reads, or they were open before the rule: new ones are read from the start",
        )
    return _nothing(known, capturing, lately)


def _nothing(known: Situation, capturing: Sequence[Heartbeat], lately: str) -> _Told:
    hidden = f" but {known.seen.hidden:,} probes or views in front of a service" if known.seen.hidden else ""
    notes = [f"{beat.process}: {note}" for beat in capturing for note in beat.notes if note.startswith("capture")]
    if notes and not hidden:
        return (
            "unseen", f"nothing of it was seen {lately}, and capture on its node does not see everything: "
            + "; ".join(notes[:NEAR]), "`weir status` tells what capture works with",
        )
    return (
        "silent", f"it sent and received nothing{hidden} {lately}",
        "make a call; what stays within the pod (127.0.0.1) or goes through a path of its own hardware is not seen",
    )


def _losing(beats: Sequence[Heartbeat]) -> list[str]:
    return [
        f"{beat.process} loses {rate:,.0f} a second ({name.removeprefix('lost.')})"
        for beat in beats for name, rate in sorted(beat.rates.items())
        if name.startswith("lost.") and name != SHED and rate > 0
    ]


def _also(known: Situation, pod: Pod) -> list[str]:
    told = []
    if known.seen.exchanges:
        told += [f"some of it is missing: {text}" for text in _losing(known.beats)]
        if known.seen.handshakes and not known.seen.protocols.keys() - {"tls"}:
            told.append("what it says over TLS cannot be read")
    lost = [
        f"{beat.process} lost {count:,} ({what}) since it started"
        for beat in known.beats if "capture" in beat.stages and beat.node == pod.node
        for what, count in sorted(beat.lost.items()) if count
    ]
    share = known.control.sample_rate if known.control is not None else 1.0
    if share < 1.0 and known.seen.exchanges:
        told.append(f"{share:.1%} of all conversations are kept")
    behind = [
        f"{beat.process} is {sum(beat.lag.values()):,} records behind" for beat in known.beats
        if sum(beat.lag.values()) >= 10_000
    ]
    return [*told, *lost, *behind]
