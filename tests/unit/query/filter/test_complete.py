from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weir.query.filter.check import check
from weir.query.filter.complete import complete, value_text
from weir.query.filter.tree import FilterError

MACROS = {"broken": "status_code >= 500"}


def texts(text: str, at: int | None = None) -> list[str]:
    return [one.text for one in complete(text, len(text) if at is None else at, MACROS).options]


def test_an_empty_filter_offers_macros_fields_and_functions() -> None:
    found = complete("", 0, MACROS)
    assert (found.start, found.end) == (0, 0)
    assert found.options[0].text == "broken"
    assert {"variable", "macro"} <= {one.kind for one in found.options}


def test_what_begins_so_comes_before_what_holds_it() -> None:
    found = complete("http && stat", 12, MACROS)
    assert (found.start, found.end) == (8, 12)
    assert found.options[0].text == "status_code"
    assert texts("code")[0].startswith("code") or "status_code" in texts("code")


def test_the_whole_word_is_replaced_wherever_the_cursor_stands_in_it() -> None:
    found = complete("status_code > 3", 4, MACROS)
    assert (found.start, found.end) == (0, 11)
    assert found.options[0].text == "status_code"


@pytest.mark.parametrize(("text", "field", "prefix"), [
    ("status_code == ", "status_code", ""), ("status_code >= 5", "status_code", "5"), ('method == "G', "method", "G"),
    ("method != 'G", "method", "G"), ('src.name in ["a", "b', "src.name", "b"), ('src.name in [', "src.name", ""),
    ('path.startsWith("/api', "path", "/api"), ('request.headers["ho', "request.headers", "ho"),
    ('http && dst.namespace.contains("sh', "dst.namespace", "sh"),
])
def test_values_are_offered_where_a_field_is_compared(text: str, field: str, prefix: str) -> None:
    found = complete(text, len(text), MACROS)
    assert (found.values_of, found.prefix) == (field, prefix)


def test_a_text_is_replaced_with_its_quotes() -> None:
    found = complete('method == "GE" && http', 12, MACROS)
    assert 'method == "GE" && http'[found.start : found.end] == '"GE"'
    found = complete('a == "x', 7, MACROS)
    assert (found.start, found.end) == (5, 7)


@pytest.mark.parametrize(("text", "offered", "not_offered"), [
    ("http ", "&&", "=="), ("status_code ", ">=", "["), ("method ", "==", ">="), ("request.headers ", "[", ">="),
    ('method == "GET" ', "&&", "=="), ("size(path) ", "&&", "in ["),
])
def test_operators_follow_operands(text: str, offered: str, not_offered: str) -> None:
    assert offered in texts(text)
    assert not_offered not in texts(text)


def test_methods_of_a_field_are_offered_behind_its_dot() -> None:
    assert 'path.startsWith("…")' in texts("path.st")
    assert not any(".contains" in one for one in texts("status_code."))
    assert "request.headers" in texts("request.he")


def test_nothing_is_offered_that_is_always_empty() -> None:
    assert "node_ip" not in texts("node_ip")


@given(st.text(alphabet='ab.s"\'[](),=!<>&| _10é\\\n', max_size=40), st.integers(-1, 50))
def test_any_text_is_completed_around_the_cursor(text: str, at: int) -> None:
    found = complete(text, at, MACROS)
    assert 0 <= found.start <= max(0, min(at, len(text))) <= found.end <= len(text)


@given(st.text(st.characters(codec="utf-8"), max_size=20))
def test_a_value_is_written_so_that_it_is_read_back(value: str) -> None:
    try:
        node = check(f"method == {value_text(value)}")
    except FilterError:
        pytest.fail(json.dumps(value))
    assert node.args[1].value == value
