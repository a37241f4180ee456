from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weir.cli.render.table import GAP, PIPED, columns_of, fitted, least, table
from weir.cli.render.text import width


def test_columns_are_as_wide_as_they_need_to_be() -> None:
    assert table(("A", "LAST"), [("x", "1"), ("long", "2 \x1b")]) == ["A     LAST", "x     1", "long  2 \\x1b"]


def test_numbers_stand_below_one_another() -> None:
    assert [GAP.join(row) for row in fitted(("NAME", "N"), [("a", "1"), ("b", "100")], 80, numbers=[1])] == [
        "NAME    N", "a       1", "b     100",
    ]


@given(st.lists(st.tuples(st.text(), st.text(), st.integers(0, 10**9).map(str)), min_size=1), st.integers(40, 120))
def test_no_line_is_wider_than_there_is_room(rows: list[tuple[str, str, str]], columns: int) -> None:
    for row in fitted(("SOURCE", "TARGET", "COUNT"), rows, columns, numbers=[2]):
        assert width(GAP.join(row)) <= columns


def test_the_widest_name_is_cut_and_its_ends_stay() -> None:
    [_, row] = fitted(("A", "B"), [("x" * 50 + "END", "short")], 30)
    assert row[1] == "short"
    assert "…" in row[0]
    assert row[0].endswith("END")
    assert width(GAP.join(row)) == 30


def test_what_must_be_whole_is_not_cut() -> None:
    [_, row] = fitted(("TIME", "B"), [("2026-01-31T12:00:00Z", "y" * 50)], 40, whole=[0])
    assert row[0] == "2026-01-31T12:00:00Z"


def test_names_are_read_before_numbers_are_given_room() -> None:
    assert least(("A", "N"), [("x" * 50, "123")], [1]) == 16 + len(GAP) + 3


def test_a_pipe_has_a_width_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    assert columns_of(io.StringIO()) == PIPED
    monkeypatch.setenv("COLUMNS", "72")
    assert columns_of(io.StringIO()) == 72
    monkeypatch.setenv("COLUMNS", "3")
    assert columns_of(io.StringIO()) == 20
