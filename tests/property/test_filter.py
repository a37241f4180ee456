"""The two readers of the filter language give the same answers, whatever is asked and whatever the entries are."""

from __future__ import annotations

import random
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings

from weir.archive.chdb_server import load_chdb
from weir.archive.codec import entry_json
from weir.archive.columns import FORMAT, NAMES, packed
from weir.archive.place import Place
from weir.archive.schema import filled, migrations
from weir.query.filter.check import check
from weir.query.filter.clickhouse import condition
from weir.query.filter.narrow import narrow
from weir.query.filter.python import on_rows, predicate, row_predicate
from weir.query.filter.syntax import parse
from weir.query.filter.tree import FilterError, Node
from weir.query.row import row_of
from weir.testing.filters import BASE, conditions, entries

ENTRIES = entries(7, 300)


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Any:
    if find_spec("chdb") is None:
        pytest.skip("chdb is not installed (pip install 'weir[embedded]')")
    folder: Path = tmp_path_factory.mktemp("filters")
    connection = load_chdb().connect(str(folder))
    place = Place(host="", port=0)
    connection.query("CREATE DATABASE weir")
    for migration in migrations():
        for statement in migration.statements:
            connection.query(filled(statement, place))
    with connection.send_insert(f"INSERT INTO weir.entries ({', '.join(NAMES)}) ", FORMAT) as insert:
        for block in packed(ENTRIES):
            insert.append(block)
        insert.finish()
    yield connection
    connection.close()


def _asked(table: Any, text: str) -> set[str]:
    sql, values = condition(check(text, now_ns=BASE))
    parameters = {name: _written(value) for name, value in values.items()}
    answer = table.query(f"SELECT id FROM weir.entries WHERE {sql}", "TabSeparated", params=parameters).bytes().decode()
    return set(answer.split("\n")) - {""}


def _written(value: Any) -> str:
    """A parameter as ClickHouse reads it."""
    if isinstance(value, list):
        return "[" + ",".join(f"'{_escaped(one)}'" if isinstance(one, str) else str(one) for one in value) + "]"
    return _escaped(value) if isinstance(value, str) else str(value)


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n").replace("\t", "\\t")


@pytest.mark.chdb
@settings(max_examples=300)
@given(text=conditions(2))
def test_python_and_sql_agree(table: Any, text: str) -> None:
    test = predicate(check(text, now_ns=BASE))
    assert _asked(table, text) == {entry["id"] for entry in ENTRIES if test(entry)}


@given(text=conditions(3))
def test_what_is_asked_of_a_row_holds_wherever_the_filter_holds(text: str) -> None:
    node = check(text, now_ns=BASE)
    narrowed = narrow(node, on_rows)
    whole, of_row = predicate(node), row_predicate(narrowed)
    for entry in ENTRIES[:60]:
        if whole(entry):
            assert of_row(row_of(entry))
        elif narrowed == node:
            assert not of_row(row_of(entry))


@given(text=conditions(2))
def test_damaged_filters_are_told_and_never_fail(text: str) -> None:
    rng = random.Random(text)
    for _ in range(5):
        at = rng.randrange(len(text) + 1)
        damaged = text[:at] + rng.choice(("", "(", ")", "'", "&", "!", "1", ".", "\x00", "size", "é")) + text[at + 1 :]
        node = _checked(damaged)
        if isinstance(node, FilterError):
            assert node.message
            assert 0 <= node.start <= len(damaged) + 1
        else:
            assert predicate(node)(ENTRIES[0]) in (True, False)
            condition(node)


def _checked(text: str) -> Node | FilterError:
    try:
        return check(text)
    except FilterError as error:
        return error


def test_no_text_of_a_person_is_in_the_sql() -> None:
    sql, values = condition(check('path == "DROP" || request.headers["TABLE"] == r"x\\" || path.matches("SELECT")'))
    assert not any(word in sql for word in ("DROP", "TABLE", "SELECT"))
    assert {"DROP", "TABLE"} <= set(values.values())


def test_an_entry_as_json_is_an_object_that_sql_can_read() -> None:
    assert entry_json(ENTRIES[0])[:1] == b"{"
    assert parse("http").op == "name"
