"""Random filters that are right, and random entries for them."""

from __future__ import annotations

import random
from typing import Any

from hypothesis import strategies as st

BASE = 1_700_000_000_000_000_000
WORDS = ("", "a", "b", "shop", "cart", "GET", "/api", "/api/x", "é€😀", "a;b", "x=1", "it's", "back\\slash",
         "\n", "%", "n1")
TEXT_FIELDS = (
    "protocol", "kind", "path", "method", "src.name", "dst.namespace", "src.pod.name", "dst.service.name", "dns_name",
    "summary", "request.body.text", 'request.headers["host"]', "request.headers.accept", "query_string.q", "user_agent",
    'request.cookies["a"]', 'response.cookies["s"]', "src.labels.app", "transport", "flow_id", "local_node_name",
    "worker",
)
INT_FIELDS = ("status_code", "elapsed_time", "src.port", "version", "stream_id", "request.body.size", "grpc_status",
              "index")
BOOL_FIELDS = ("http", "dns", "grpc", "ok", "failed", "tls", "http2", "conn", "request.body.truncated", "has_pcap")
LIST_FIELDS = ("tags", "namespaces", "pods", "services", "dns_answers", "weird")
MAP_FIELDS = ("request.headers", "src.labels", "query_string", "request.cookies", "response.cookies", "capture")


def entries(seed: int, count: int) -> list[dict[str, Any]]:
    """Entries as decode makes them, some fields absent."""
    rng = random.Random(seed)

    def word() -> str:
        return rng.choice(WORDS)

    def some(chance: float, value: Any) -> Any:
        return value if rng.random() < chance else None

    def peer() -> dict[str, Any]:
        return _without_nones({
            "ip": f"10.0.0.{rng.randrange(4)}", "port": rng.choice((80, 443, 40000)), "name": some(0.7, word()),
            "namespace": some(0.7, word()), "pod": some(0.5, {"name": word(), "namespace": word()}),
            "service": some(0.5, {"name": word(), "namespace": word()}), "node": some(0.5, "n1"),
            "labels": some(0.5, {"app": word(), "tier": word()}),
        })

    found = []
    for number in range(count):
        message = {
            "headers": {"host": word(), "cookie": rng.choice(("a=1; b=2", "a = 1;;=;b", "b=\u00e9; a=x=y; a=2"))},
            "body": {"text": word(), "size": rng.randrange(100), "truncated": rng.random() < 0.5},
        }
        found.append(_without_nones({
            "v": 1, "id": f"e{number}", "timestamp": BASE + rng.randrange(1000) * 1_000_000_000 + number,
            "protocol": rng.choice(("http", "dns", "grpc", "tcp")), "kind": rng.choice(("exchange", "flow")),
            "flow_id": word(), "src": peer(), "dst": peer(), "path": some(0.7, rng.choice((word(), "/" + "x" * 3000))),
            "method": some(0.7, word()), "status_code": some(0.7, rng.choice((200, 404, 500, 503))),
            "elapsed_time": some(0.7, rng.randrange(5000)), "ok": some(0.7, rng.random() < 0.5),
            "version": rng.choice((0, 1, 2)), "stream_id": some(0.3, 3), "tls": some(0.2, True),
            "http_version": some(0.7, rng.choice(("1.1", "2"))), "grpc_status": some(0.3, rng.randrange(3)),
            "request": some(0.7, message),
            "response": some(0.5, {"headers": {"set-cookie": "s=9; Path=/\nt=8"}}), "summary": word(),
            "dns_name": some(0.4, word()), "dns_answers": some(0.4, [word(), word()]), "tags": some(0.2, [word()]),
            "query_string": some(0.4, {"q": word()}), "sample_rate": some(0.2, 0.25), "weird": some(0.2, [word()]),
        }))
    return found


def _without_nones(value: dict[str, Any]) -> dict[str, Any]:
    return {key: inner for key, inner in value.items() if inner is not None}


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


word_literals = st.sampled_from(WORDS).map(_quoted)
int_literals = st.sampled_from((0, 1, 2, 3, 7, 80, 200, 404, 500, 503, 1000, -1, -7, 2**31, 2**63 - 1)).map(str)


def _texts(depth: int) -> st.SearchStrategy[str]:
    leaves = st.one_of(st.sampled_from(TEXT_FIELDS), word_literals)
    if not depth:
        return leaves
    return st.one_of(
        leaves,
        st.builds("({} + {})".format, _texts(depth - 1), _texts(depth - 1)),
        st.builds("({} ? {} : {})".format, conditions(depth - 1), _texts(depth - 1), _texts(depth - 1)),
        st.builds("{}[{}]".format, st.sampled_from(LIST_FIELDS), st.sampled_from(("0", "1", "5", "-1"))),
        st.builds("string({})".format, st.sampled_from(INT_FIELDS)),
        st.builds("map_get({}, {}, {})".format, st.sampled_from(MAP_FIELDS), word_literals, word_literals),
    )


def _ints(depth: int) -> st.SearchStrategy[str]:
    leaves = st.one_of(st.sampled_from(INT_FIELDS), int_literals)
    if not depth:
        return leaves
    return st.one_of(
        leaves,
        st.builds("({} {} {})".format, _ints(depth - 1), st.sampled_from("+-*/%"), _ints(depth - 1)),
        st.builds("size({})".format, st.one_of(_texts(0), st.sampled_from(LIST_FIELDS + MAP_FIELDS))),
        st.builds("(-{})".format, st.sampled_from(INT_FIELDS)),
        st.sampled_from(("int(sample_rate * 10.0)", "int(double(elapsed_time) / 3.0)")),
    )


def conditions(depth: int) -> st.SearchStrategy[str]:
    compare = st.sampled_from(("==", "!=", "<", "<=", ">", ">="))
    smaller = max(depth - 1, 0)
    leaves = st.one_of(
        st.sampled_from(BOOL_FIELDS),
        st.builds("{} {} {}".format, _texts(smaller), compare, _texts(smaller)),
        st.builds("{} {} {}".format, _ints(smaller), compare, _ints(smaller)),
        st.builds("{}.{}({})".format, _texts(0), st.sampled_from(("contains", "startsWith", "endsWith")), _texts(0)),
        st.builds("{}.matches({})".format, _texts(0), st.sampled_from(
            (r'"^/api"', r'"."', r'"^.$"', r'"a|b"', r'"[0-9]+$"', r'"(?i)GET"', r'"^$"', r'"\\w+"', r'"\\pL"'))),
        st.builds("{} in {}".format, _texts(0), st.sampled_from(LIST_FIELDS + MAP_FIELDS)),
        st.builds("{} in [{}, {}]".format, _texts(0), word_literals, word_literals),
        st.builds("{} in [{}, {}]".format, _ints(0), int_literals, int_literals),
        st.builds("has({})".format, st.sampled_from(TEXT_FIELDS + INT_FIELDS + BOOL_FIELDS + LIST_FIELDS + MAP_FIELDS)),
        st.builds("timestamp {} timestamp(\"2023-11-14T22:{:02d}:20Z\")".format, compare, st.integers(10, 30)),
        st.sampled_from(("sample_rate < 1", "now() - timestamp < duration(\"5m\")", "sample_rate / 0.0 == 0.0")),
    )
    if not depth:
        return leaves
    return st.one_of(
        leaves,
        st.builds("({} && {})".format, conditions(depth - 1), conditions(depth - 1)),
        st.builds("({} || {})".format, conditions(depth - 1), conditions(depth - 1)),
        st.builds("!({})".format, conditions(depth - 1)),
        st.builds("{}.{}(x, {})".format, st.sampled_from(LIST_FIELDS + MAP_FIELDS), st.sampled_from(("exists", "all")),
                  st.one_of(conditions(0), st.sampled_from(("x == \"a\"", "x.startsWith(\"a\")", "x != src.name")))),
    )
