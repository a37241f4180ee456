"""The map of who calls whom: as a table, as a Mermaid diagram (https://mermaid.js.org/syntax/flowchart.html), as JSON.

Names come from traffic: in Mermaid they are texts in quotes in which everything that means something there is written
as a character code.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from weir.cli.render.entries import DIM, RED
from weir.cli.render.groups import painted
from weir.cli.render.table import GAP, fitted, least
from weir.cli.render.text import duration, number, safe, share, shortened, size
from weir.hub.graph import MapAnswer, MapEdge, MapNode

WORD = {"pod": "pods", "workload": "workloads", "service": "services", "namespace": "namespaces", "node": "nodes"}
MAX_LABEL = 80
"""Characters of a name in a diagram."""
_HEADS = ("SOURCE", "TARGET", "PROTOCOLS", "COUNT", "ERRORS", "ERR%", "P50", "P95", "P99", "BYTES")
_NUMBERS = frozenset(range(3, len(_HEADS)))
_DROPPED = (8, 6, 9, 5, 2, 7)
"""Columns that go first where there is no room."""
_RED = (4, 5)
_PLAIN_TEXT = frozenset(" -_.:/()[]→,µ%…")
_Row = list[str]


def label(node: MapNode) -> str:
    """`checkout.prod`, an address, or what it is where it has no name."""
    if not node.name:
        return f"({node.role or 'unknown'})"
    return f"{node.name}.{node.namespace}" if node.namespace else node.name


def lines(told: MapAnswer, columns: int, *, color: bool) -> list[str]:
    """One line an edge, the busiest first, no wider than `columns` if that can be; then what is not shown."""
    names = _names(told)
    rows = [_row(names, edge) for edge in told.edges]
    kept = list(range(len(_HEADS)))
    for gone in _DROPPED:
        if least(_of(_HEADS, kept), [_of(row, kept) for row in rows], _numbers(kept)) <= columns:
            break
        kept.remove(gone)
    head, *cells = fitted(_of(_HEADS, kept), [_of(row, kept) for row in rows], columns, numbers=_numbers(kept))
    made = [painted(GAP.join(head).rstrip(), DIM, color)]
    for edge, line in zip(told.edges, cells, strict=True):
        if edge.errors:
            line = [painted(cell, RED, color and n in _RED) for n, cell in zip(kept, line, strict=True)]
        made.append(GAP.join(line).rstrip())
    return made


def _names(told: MapAnswer) -> dict[str, str]:
    labels = {node.id: label(node) for node in told.nodes}
    short = shortened(labels.values()) if told.group in ("service", "workload") else {}
    return {node: short.get(name, name) for node, name in labels.items()}


def _of(row: Sequence[str], kept: Sequence[int]) -> _Row:
    return [row[n] for n in kept]


def _numbers(kept: Sequence[int]) -> frozenset[int]:
    return frozenset(at for at, n in enumerate(kept) if n in _NUMBERS)


def _row(names: dict[str, str], edge: MapEdge) -> _Row:
    latencies = [duration(us) if us else "-" for us in (edge.p50_us, edge.p95_us, edge.p99_us)]
    return [
        names.get(edge.src, edge.src), names.get(edge.dst, edge.dst), " ".join(edge.protocols), number(edge.count),
        number(edge.errors), share(edge.errors, edge.count), *latencies, size(edge.bytes or edge.flow_bytes),
    ]


def mermaid(told: MapAnswer) -> str:
    """A flowchart; edges with errors are red."""
    at = {node.id: f"n{number}" for number, node in enumerate(told.nodes)}
    made = ["flowchart LR"]
    names = _names(told)
    made += [f'  {at[node.id]}["{_quoted(names[node.id])}"]' for node in told.nodes]
    bad = []
    for edge in told.edges:
        if edge.src not in at or edge.dst not in at:
            continue
        if edge.errors:
            bad.append(len(made) - 1 - len(told.nodes))
        made.append(f'  {at[edge.src]} -->|"{_quoted(_said(edge))}"| {at[edge.dst]}')
    if bad:
        made.append(f"  linkStyle {','.join(map(str, bad))} stroke:#c00")
    return "\n".join(made)


def _said(edge: MapEdge) -> str:
    parts = [f"{' '.join(edge.protocols)} {number(edge.count)}"]
    if edge.errors:
        parts.append(f"{number(edge.errors)} failed ({share(edge.errors, edge.count)})")
    if edge.p95_us:
        parts.append(f"p95 {duration(edge.p95_us)}")
    return ", ".join(parts)


def _quoted(text: str) -> str:
    shown = safe(text)
    if len(shown) > MAX_LABEL:
        shown = shown[: MAX_LABEL // 2] + "…" + shown[-(MAX_LABEL // 2 - 1) :]
    return "".join(c if c.isalnum() or c in _PLAIN_TEXT else f"#{ord(c)};" for c in shown)


def document(told: MapAnswer) -> bytes:
    """The answer of `/api/v1/map`."""
    return msgspec.json.encode(told)
