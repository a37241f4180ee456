"""On what both know, the filter language means what CEL means: Google's implementation says so of random filters.

An absent field is an error in CEL and empty here, so the oracle is given every field, the absent ones at their empty
value. Where it still answers with an error (an index that is not there, an overflow), weir has an answer of its own.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest
from hypothesis import assume, given, settings

from weir.query.filter.check import check
from weir.query.filter.python import predicate
from weir.query.filter.tree import Kind, Node
from weir.query.filter.variables import Variable, variables
from weir.testing.filters import conditions, entries

cel = pytest.importorskip("cel_expr_python.cel")

ENTRIES = entries(11, 40)
UNKNOWN = ("map_get", "timestamp", "has(", "sample_rate")
"""What CEL lacks or takes only with other types, and the division by 0.0, which is 0.0 here."""


def _readers() -> dict[str, Any]:
    """A reader for each variable, through the same code that filters use."""
    compare = {Kind.STRING: "", Kind.INT: 0, Kind.DOUBLE: 0.0, Kind.BOOL: False}
    return {name: _reader(variable) for name, variable in variables().items()
            if variable.type.kind in compare or variable.type.kind in (Kind.LIST, Kind.MAP)}


def _reader(variable: Variable) -> Any:
    return predicate(Node("field", variable.type, (), variable))


@cache
def _all_readers() -> dict[str, Any]:
    return _readers()


def _defaulted(entry: dict[str, Any]) -> dict[str, Any]:
    """Every variable at its place, groups as maps."""
    data: dict[str, Any] = {}
    for name, read in _all_readers().items():
        *groups, last = name.split(".")
        place = data
        for group in groups:
            place = place.setdefault(group, {})
        place[last] = read(entry)
    return data


@cache
def _environment() -> Any:
    kinds = {Kind.STRING: cel.Type.STRING, Kind.INT: cel.Type.INT, Kind.DOUBLE: cel.Type.DOUBLE,
             Kind.BOOL: cel.Type.BOOL, Kind.LIST: cel.Type.List(cel.Type.STRING),
             Kind.MAP: cel.Type.Map(cel.Type.STRING, cel.Type.STRING)}
    known = {name: kinds[variables()[name].type.kind] for name in _all_readers() if "." not in name}
    groups = {name.partition(".")[0] for name in _all_readers() if "." in name}
    return cel.NewEnv(variables=known | dict.fromkeys(groups, cel.Type.DYN))


@settings(max_examples=200)
@given(text=conditions(2))
def test_the_answers_are_those_of_cel(text: str) -> None:
    assume(not any(word in text for word in UNKNOWN))
    expression = _environment().compile(text)
    test = predicate(check(text))
    for entry in ENTRIES:
        answer = _answer(expression, entry)
        if answer is not None:
            assert test(entry) is answer


def _answer(expression: Any, entry: dict[str, Any]) -> bool | None:
    """None for an error."""
    try:
        value = expression.eval(data=_defaulted(entry))
        return value.plain_value() if value.type() == cel.Type.BOOL else None
    except Exception:  # its errors have no type of their own
        return None


def test_the_oracle_answers() -> None:
    expression = _environment().compile('protocol == "http" && size(path) >= 0')
    assert [_answer(expression, entry) for entry in ENTRIES] == [e["protocol"] == "http" for e in ENTRIES]
