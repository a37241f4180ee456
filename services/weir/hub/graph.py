"""Who calls whom, from the archive's statistics: nodes and edges, grouped as asked. Pure."""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Iterable
from typing import Literal

import msgspec

from weir.archive.api import Statistics

Grouping = Literal["pod", "workload", "service", "namespace", "node"]

GROUPINGS: tuple[Grouping, ...] = ("pod", "workload", "service", "namespace", "node")
MAX_EDGES = 5000
CALL = "call"
"""Separates what was said from flows, which count the same conversations once more."""

_NAMES: dict[str, tuple[str, ...]] = {
    "pod": ("name", "ip"),
    "workload": ("workload", "name", "ip"),
    "service": ("service.name", "workload", "name", "ip"),
    "namespace": ("namespace",),
    "node": ("node",),
}
"""What stands for an end: the first of these that is there."""

_Place = tuple[str, str, str]
"""Name, namespace and role of a node."""


class MapNode(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    name: str
    """Empty for all ends of this role that have no name."""
    namespace: str = ""
    role: str = ""
    count: float = 0.0
    """Calls that it answered; where no calls are known, flows that it took."""
    errors: float = 0.0
    p95_us: int = 0
    filter: str = ""
    """Selects the entries with this node at either end, in the filter language."""


class MapEdge(msgspec.Struct, frozen=True, kw_only=True):
    """All numbers are weighted by 1 / sample_rate."""

    src: str
    """A node's id."""
    dst: str
    protocols: list[str]
    count: float
    """Calls; where no calls are known, flows."""
    errors: float
    p50_us: int
    p95_us: int
    p99_us: int
    bytes: int
    """Of the calls, as on the wire."""
    flow_bytes: int
    """What both ends of the flows sent."""
    filter: str
    """Selects the entries of this edge, in the filter language."""


class LeftOut(msgspec.Struct, frozen=True, kw_only=True):
    nodes: int = 0
    edges: int = 0


class MapAnswer(msgspec.Struct, frozen=True, kw_only=True):
    group: Grouping
    since_ns: int
    """0: everything that is kept."""
    until_ns: int
    nodes: list[MapNode]
    edges: list[MapEdge]
    """The busiest first."""
    left_out: LeftOut
    """Less busy ones, beyond `limit`."""


def end_keys(group: str, end: str) -> tuple[str, str, str]:
    """What to group by for one end (`src`, `dst`): name, namespace, role."""
    fields = [f"{end}.{part}" for part in _NAMES[group]]
    name = fields[-1]
    for field in reversed(fields[:-1]):
        name = f'{field} != "" ? {field} : ({name})'
    if group in ("namespace", "node"):
        return name, '""', f'{fields[0]} == "" ? {end}.role : ""'
    role = f'{end}.service.name == "" ? {end}.role : "service"' if group == "service" else f"{end}.role"
    return name, f"{end}.namespace", role


def edge_keys(group: str) -> tuple[str, ...]:
    return (*end_keys(group, "src"), *end_keys(group, "dst"), CALL)


def node_keys(group: str) -> tuple[str, ...]:
    return (*end_keys(group, "dst"), CALL)


def service_map(
    group: Grouping, edges: Iterable[Statistics], nodes: Iterable[Statistics], limit: int, since_ns: int, until_ns: int
) -> MapAnswer:
    """The map of what the archive told by `edge_keys` and `node_keys`; at most `limit` edges."""
    found: dict[tuple[_Place, _Place], _Ends] = {}
    for one in edges:
        ends = _place(one.key[0:3]), _place(one.key[3:6])
        found.setdefault(ends, _Ends()).add(one)
    answered: dict[_Place, _Ends] = {}
    for one in nodes:
        answered.setdefault(_place(one.key[0:3]), _Ends()).add(one)
    busiest = sorted(found.items(), key=lambda item: (not item[1].calls, -item[1].best.count, item[0]))
    shown = [_edge(group, src, dst, ends) for (src, dst), ends in busiest[:limit]]
    places = dict.fromkeys(place for pair, _ in busiest[:limit] for place in pair)
    every = {place for pair in found for place in pair}
    return MapAnswer(
        group=group, since_ns=since_ns, until_ns=until_ns, edges=shown,
        nodes=[_node(group, place, answered.get(place)) for place in places],
        left_out=LeftOut(nodes=len(every) - len(places), edges=len(found) - len(shown)),
    )


class _Ends:
    """What is known of one edge or node: calls, and flows of each transport."""

    def __init__(self) -> None:
        self.calls: Statistics | None = None
        self.flows: Statistics | None = None

    def add(self, one: Statistics) -> None:
        if one.key[-1]:
            self.calls = one
        else:
            self.flows = one

    @property
    def best(self) -> Statistics:
        known = self.calls or self.flows
        if known is None:
            raise ValueError("an end of nothing")
        return known


def _place(key: tuple[str | int, ...]) -> _Place:
    name, namespace, role = map(str, key)
    return name, namespace, role


def _id(place: _Place) -> str:
    name, namespace, role = place
    return f"{role or 'unknown'}:{namespace}/{name}"


def _node(group: str, place: _Place, ends: _Ends | None) -> MapNode:
    name, namespace, role = place
    either = " || ".join(" && ".join(_selects(group, end, place)) for end in ("src", "dst"))
    made = MapNode(id=_id(place), name=name, namespace=namespace, role=role, filter=either)
    if ends is None:
        return made
    best = ends.best
    return msgspec.structs.replace(made, count=best.count, errors=best.errors, p95_us=best.p95_us)


def _edge(group: str, src: _Place, dst: _Place, ends: _Ends) -> MapEdge:
    best = ends.best
    return MapEdge(
        src=_id(src), dst=_id(dst), protocols=best.protocols, count=best.count, errors=best.errors,
        p50_us=best.p50_us, p95_us=best.p95_us, p99_us=best.p99_us, bytes=best.bytes,
        flow_bytes=ends.flows.flow_bytes if ends.flows is not None else 0,
        filter=" && ".join([*_selects(group, "src", src), *_selects(group, "dst", dst)]),
    )


def _selects(group: str, end: str, place: _Place) -> list[str]:
    """Conditions that one end is this node."""
    name, namespace, role = place
    if group in ("namespace", "node"):
        told = [f"{end}.{group} == {_text(name)}"]
        return told if name else [*told, f"{end}.role == {_text(role)}"]
    fields = _NAMES[group]
    at = _field_of(fields, name, role)
    told = [f'{end}.{field} == ""' for field in fields[:at]]
    told += [f"{end}.{fields[at]} == {_text(name)}", f"{end}.namespace == {_text(namespace)}"]
    return told


def _field_of(fields: tuple[str, ...], name: str, role: str) -> int:
    """Which of the fields a name came from: it tells itself."""
    if role == "service" and fields[0] == "service.name":
        return 0
    if _is_address(name):
        return fields.index("ip")
    if "/" in name and "workload" in fields:
        return fields.index("workload")
    return fields.index("name")


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return not name
    return True


def _text(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)
