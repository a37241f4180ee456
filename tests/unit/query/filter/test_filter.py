"""What a filter means, on one entry, by the Python reader."""

from __future__ import annotations

from typing import Any

import pytest

from weir.query.filter.check import check
from weir.query.filter.python import predicate
from weir.query.filter.tree import FilterError

NOW = 1_700_000_000_000_000_000
ENTRY: dict[str, Any] = {
    "protocol": "http", "kind": "exchange", "http_version": "2", "status_code": 503, "path": "/api/x", "method": "GET",
    "src": {"ip": "10.0.0.1", "port": 4000, "name": "front", "namespace": "shop", "pod": {"name": "front-1",
            "namespace": "shop"}, "labels": {"app": "front"}, "node": "n1"},
    "dst": {"ip": "10.0.0.2", "port": 80, "name": "cart", "namespace": "data", "service": {"name": "cart",
            "namespace": "data"}},
    "request": {"headers": {"host": "cart", "cookie": "a=1; b=2"}, "body": {"text": "hello", "size": 5}},
    "response": {"headers": {"content-type": "application/json", "set-cookie": "s=9; Path=/\nt=8"}, "size": 77},
    "elapsed_time": 1500, "timestamp": NOW, "ok": False, "query_string": {"q": "1"}, "tags": ["probe"],
}


def holds(text: str, entry: dict[str, Any] = ENTRY, **more: Any) -> bool:
    return predicate(check(text, now_ns=NOW, **more))(entry)


@pytest.mark.parametrize("text", [
    "", "  ",
    "http", "!dns", "http && !(dns || tls)", "http2", "failed", "!ok",
    'http && status_code >= 500 && path.startsWith("/api")',
    'src.pod.name == "front-1"', 'dst.pod.name == "cart"', 'src.namespace != dst.namespace',
    '"shop" in namespaces', 'namespaces.exists(n, n.startsWith("da"))', "pods.all(p, size(p) > 3)",
    'request.headers["host"] == "cart"', "request.headers.host.contains('ar')", "request.headers['none'] == ''",
    '"cookie" in request.headers', "has(request.headers['cookie'])", "!has(grpc_status)",
    'request.cookies["b"] == "2"', 'response.cookies["t"] == "8"', 'response.cookies.exists(c, c == "s")',
    'map_get(request.headers, "none", "other") == "other"',
    "src.labels.app == 'front'", "local_labels['app'] == 'front'",
    r'path.matches("^/api/\\w$")', r"matches(path, r'^/api/\w$')",
    'method in ["GET", "POST"]', "status_code in [500, 503]",
    "status_code / 100 == 5", "status_code % 100 == 3", "-status_code + 1 < 0", "1 + 2 * 3 == 7", "(1 + 2) * 3 == 9",
    "7 / 2 == 3", "-7 / 2 == -3", "-7 % 2 == -1", "5 / 0 == 0", "5 % 0 == 0", "5.0 / 0.0 == 0.0",
    "9223372036854775807 + 1 == -9223372036854775807 - 1",
    "elapsed_time > 1000", "sample_rate == 1", "sample_rate < 1.5", "double(status_code) / 2.0 == 251.5",
    'string(status_code).startsWith("5")', "int(2.9) == 2",
    'http ? status_code >= 400 : dns_rcode != "NOERROR"',
    'timestamp == timestamp("2023-11-14T22:13:20Z")', 'timestamp > "2023-11-14T22:13:19.5Z"',
    'now() - timestamp < duration("5m")', 'timestamp + duration("1h") > now()',
    'duration("1h30m") == duration("90m")', 'duration("1.5s") == duration("1500ms")',
    "size(request.body.text) == 5", "request.body.text.size() == 5", "size(tags) == 1", "tags[0] == 'probe'",
    "tags[7] == ''", "dns_answers[0] == ''", "query_string.q == '1'",
    '"a" + "b" == "ab"', "'\\u00e9' == 'é'", r"r'\d' == '\\d'", "0x1F == 31", "1e3 == 1000.0",
    "// a comment\nhttp", "request.body.data == b''", "worker == '' && index == 0 && !has_pcap", "!ws && !redis",
])
def test_it_holds(text: str) -> None:
    assert holds(text)


@pytest.mark.parametrize("text", [
    "dns", "ok", "conn", "!http", 'path == ""', "status_code < 500", "'x' in tags", "tags.all(t, t == 'x')",
    '"x" in []', "src.labels.none == 'a'", 'path.endsWith("y")', "tls",
])
def test_it_does_not_hold(text: str) -> None:
    assert not holds(text)


@pytest.mark.parametrize(("text", "message", "hint", "marked"), [
    ("status_cod == 3", 'unknown field "status_cod"', "status_code", "status_cod"),
    ("src.pod.nam == 'a'", 'unknown field "src.pod.nam"', "src.pod.name", "src.pod.nam"),
    ("src == 'a'", "`src` is no value", "it has src.ip", "src"),
    ('status_code == "500"', "compares a whole number with a text", "without quotes", 'status_code == "500"'),
    ("path", "a filter is true or false, this is a text", 'path == "…"', "path"),
    ("path && http", "expected a condition, this is a text", "contains", "path"),
    ("path = 3", "unexpected `=`", "did you mean `==`?", "="),
    ("http & dns", "unexpected `&`", "did you mean `&&`?", "&"),
    ("(http", "the filter ends too early", "expected", ""),
    ("http http", "unexpected `http`", "an operator", "http"),
    ('path == "x', "this text has no end", 'close it with "', '"x'),
    ('path.matches("(")', "the pattern is none", "RE2", '"("'),
    ('path.matches("(?=a)")', "the pattern is none", "RE2", '"(?=a)"'),
    ("path.matches(method)", "a pattern must be written out", "quotes", "method"),
    ("path.foo()", "unknown function .foo()", "", "foo()"),
    ("foo(path)", "unknown function foo()", "", "foo(path)"),
    ("http(path)", "`http` is a field, not a function", "alone", "http(path)"),
    ("'a' in path", "`in` wants a list or a map", "contains", "'a' in path"),
    ("1 in tags", "`in` looks for a whole number in a list of string", "one type", "1 in tags"),
    ("path + 1 == ''", "`+` is not for a text and a whole number", "string(", "path + 1"),
    ("path == null", "there is no null here", "has(field)", "null"),
    ("http ? 1 : 'a'", "has a whole number on one side and a text on the other", "one type", "http ? 1 : 'a'"),
    ("[1, 'a'].exists(x, x == 1)", "cannot hold a text", "one type", "'a'"),
    ("tags == ['a']", "cannot be compared as a whole", "exists", "tags == ['a']"),
    ("{'a': 1}", "maps cannot be written here", "request.headers", "{'a': 1}"),
    ("timestamp > timestamp('noon')", "'noon' is no timestamp", "2026", "'noon'"),
    ("duration('5x') == duration('5m')", "'5x' is no duration", "5m", "'5x'"),
    ("99999999999999999999 == 1", "is too large", "", "99999999999999999999"),
    (r"'\q' == ''", r"unknown escape `\q`", "backslash", r"'\q'"),
    ("size(path, 1) == 1", "2 arguments instead of 1", "size(value)", "size(path, 1)"),
    ("path[0] == 'a'", "a text has no items", "index", "path[0]"),
    ("request.headers[0] == 'a'", "the index of a map", "name", "0"),
    ("has(path + 'a')", "has() is about a field", "has(", "has(path + 'a')"),
    ("tags.exists(1, true)", "expected a name", "exists", "1"),
])
def test_a_mistake_is_told_with_its_place_and_a_hint(text: str, message: str, hint: str, marked: str) -> None:
    with pytest.raises(FilterError) as wrong:
        check(text)
    error = wrong.value
    assert message in error.message
    assert hint in error.hint
    assert text[error.start : error.end] == marked or not marked
    line, mark = error.pointed(text).split("\n")
    assert line == text
    assert mark.strip("^ ") == ""


@pytest.mark.parametrize("text", [
    "a" * 5000, "[" * 500 + "http" + "]" * 500, "!" * 500 + "http", " && ".join(["http"] * 1100),
    "1" + " + 1" * 500 + " == 1", 'path.matches("' + "a" * 2000 + '")', 'path.matches("((a{1,900}){1,900}){1,900}")',
    "\x00", "\ud800", "http ? " * 200,
])
def test_what_is_too_much_is_refused(text: str) -> None:
    with pytest.raises(FilterError) as wrong:
        check(text)
    assert wrong.value.hint


def test_a_long_chain_is_no_depth() -> None:
    assert holds(" || ".join(f'path == "/{n}"' for n in range(200)) + " || http")


def test_macros_are_filters_by_name() -> None:
    macros = {"slow": "elapsed_time > 1000", "bad": "slow && failed", "path_of": "path"}
    assert holds("bad && http", macros=macros)
    assert holds('path_of == "/api/x"', macros=macros)
    with pytest.raises(FilterError, match="contains itself"):
        check("a", macros={"a": "b", "b": "!a"})
    with pytest.raises(FilterError, match="in the macro 'a': unknown field") as wrong:
        check("http && a", macros={"a": "nonsense == 1"})
    assert (wrong.value.start, wrong.value.end) == (8, 9)


def test_the_item_of_a_macro_hides_fields_and_inner_ones_hide_outer_ones() -> None:
    assert holds("tags.exists(path, path == 'probe' && namespaces.exists(path, path == 'shop') && path == 'probe')")


@pytest.mark.parametrize("entry", [
    {}, {"src": 5, "status_code": "503", "path": 7, "request": {"headers": [], "body": None}, "tags": {"a": 1}},
    {"src": {"pod": "a", "labels": {"app": 5, 6: "x"}}, "tags": [1, None, "a"], "elapsed_time": 1 << 80, "ok": "no"},
])
def test_nothing_in_an_entry_makes_a_filter_fail(entry: dict[str, Any]) -> None:
    for text in ("http", "status_code + 1 == 1", "path == ''", "src.pod.name == ''", "size(request.headers) == 0",
                 "tags.exists(t, t == 'a') || true", "elapsed_time == 0", "!ok && !failed", "sample_rate == 1",
                 "transport == 'tcp'", "request.cookies.a == ''"):
        assert holds(text, entry) is (text != "http")


def test_a_changed_now_changes_nothing_that_was_checked_before() -> None:
    assert not holds('timestamp < now() - duration("1s")')
