from __future__ import annotations

import re

import msgspec
import pytest

from weir.cli.render.graph import document, label, lines, mermaid
from weir.cli.render.text import width
from weir.hub.graph import LeftOut, MapAnswer, MapEdge, MapNode


def answer(*, name: str = "cart") -> MapAnswer:
    nodes = [
        MapNode(id="pod:shop/web", name="web", namespace="shop", role="pod"),
        MapNode(id="service:shop/cart", name=name, namespace="shop", role="service"),
        MapNode(id="outside:/", name="", role="outside"),
    ]
    edges = [
        MapEdge(src=nodes[0].id, dst=nodes[1].id, protocols=["grpc", "http"], count=1200.0, errors=12.0, p50_us=900,
                p95_us=45_000, p99_us=90_000, bytes=5_000_000, flow_bytes=0, filter="true"),
        MapEdge(src=nodes[0].id, dst=nodes[2].id, protocols=["tcp"], count=3.0, errors=0.0, p50_us=0, p95_us=0,
                p99_us=0, bytes=0, flow_bytes=700, filter="true"),
    ]
    return MapAnswer(group="service", since_ns=0, until_ns=0, nodes=nodes, edges=edges, left_out=LeftOut())


def test_a_line_for_each_edge() -> None:
    head, first, second = lines(answer(), 160, color=False)
    assert head.split() == ["SOURCE", "TARGET", "PROTOCOLS", "COUNT", "ERRORS", "ERR%", "P50", "P95", "P99", "BYTES"]
    assert first.split()[:4] == ["web.shop", "cart.shop", "grpc", "http"]
    assert first.split()[4:] == ["1,200", "12", "1.0%", "900µs", "45.0ms", "90.0ms", "5.0MB"]
    assert second.split() == ["web.shop", "(outside)", "tcp", "3", "0", "0%", "-", "-", "-", "700B"]


@pytest.mark.parametrize("columns", [50, 60, 80, 120])
def test_it_fits_the_terminal(columns: int) -> None:
    made = lines(answer(name="x" * 200), columns, color=False)
    assert max(map(width, made)) <= columns
    assert "1,200" in made[1]


def test_errors_are_red_where_there_is_colour() -> None:
    _, first, second = lines(answer(), 160, color=True)
    assert "\x1b[31m" in first
    assert "\x1b[31m" not in second


def test_a_flowchart() -> None:
    assert mermaid(answer()).splitlines() == [
        "flowchart LR",
        '  n0["web.shop"]', '  n1["cart.shop"]', '  n2["(outside)"]',
        '  n0 -->|"grpc http 1,200, 12 failed (1.0%), p95 45.0ms"| n1',
        '  n0 -->|"tcp 3"| n2',
        "  linkStyle 0 stroke:#c00",
    ]


@pytest.mark.parametrize(
    "name", ['"]; click n0 "javascript:alert(1)"', "<script>x</script>", "a\nn9 --> n0", "#quot;", "\x1b[2J", "end",
             "`**x**`", "%%{init: {}}%%", "x" * 5000]
)
def test_names_cannot_leave_their_quotes(name: str) -> None:
    drawn = mermaid(answer(name=name))
    assert len(drawn.splitlines()) == 7
    line = drawn.splitlines()[2]
    assert re.fullmatch(r'  n1\["[^"<>&`\\{}\x00-\x1f\x7f]{1,900}"\]', line)
    assert not re.search(r"#(?!\d+;)", line)


def test_labels() -> None:
    assert [label(node) for node in answer().nodes] == ["web.shop", "cart.shop", "(outside)"]
    assert label(MapNode(id="x", name="")) == "(unknown)"


def test_the_document_is_the_answer_of_the_api() -> None:
    assert msgspec.json.decode(document(answer()), type=MapAnswer) == answer()
