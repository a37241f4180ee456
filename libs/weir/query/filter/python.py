"""The Python reader: a checked filter becomes the source of one expression over an entry, compiled once.

Nothing that a person typed becomes source: constants, patterns and names are bound as values. Numbers are whole ones
of 64 bits, as in ClickHouse; they wrap around.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import re2

from weir.model.entry import EntryMap
from weir.query.filter import derived
from weir.query.filter.tree import Kind, Node, empty
from weir.query.filter.variables import Variable, default_of
from weir.query.row import MAX_TEXT, Row

Predicate = Callable[[EntryMap], bool]

_WRAP = 1 << 63
_SIGNED = {"+", "-", "*"}


def predicate(node: Node) -> Predicate:
    """Whether an entry (in its public form, of whatever shape) fits; never raises."""
    compiled: Predicate = _compiled(node, {})
    return compiled


def row_predicate(node: Node) -> Callable[[Row], bool]:
    """The same of an entry's row, for a filter that asks for nothing but `ON_ROWS`."""
    compiled: Callable[[Row], bool] = _compiled(node, ON_ROWS)
    return compiled


def value(node: Node) -> Callable[[EntryMap], Any]:
    """What an expression of whatever type is for an entry; never raises."""
    compiled: Callable[[EntryMap], Any] = _compiled(node, {})
    return compiled


def row_value(node: Node) -> Callable[[Row], Any]:
    """The same of an entry's row, for an expression that asks for nothing but `ON_ROWS`."""
    compiled: Callable[[Row], Any] = _compiled(node, ON_ROWS)
    return compiled


def _compiled(node: Node, places: Mapping[str, str]) -> Any:
    writer = _Writer(places)
    source = f"lambda e: {writer.write(node)}"
    return eval(source, {"__builtins__": {}, **_NAMES, **writer.bound})


class _Writer:
    def __init__(self, places: Mapping[str, str]) -> None:
        self._places = places
        self.bound: dict[str, Any] = {}

    def write(self, node: Node) -> str:
        writer: Callable[[Node], str] | None = getattr(self, f"_{_WRITERS.get(node.op, node.op)}", None)
        assert writer is not None, node.op
        return writer(node)

    def bind(self, value: Any) -> str:
        name = f"c{len(self.bound)}"
        self.bound[name] = value
        return name

    def _args(self, node: Node) -> list[str]:
        return [self.write(arg) for arg in node.args]

    def _const(self, node: Node) -> str:
        return repr(node.value) if node.type.kind in (Kind.BOOL, Kind.INT) else self.bind(node.value)

    def _field(self, node: Node) -> str:
        variable: Variable = node.value
        if variable.foreign:
            return self.bind(empty(variable.type.kind))
        if variable.name in self._places:
            return self._places[variable.name]
        if variable.equals and self._places:
            return f"(e.protocol == {self.bind(variable.equals)})"
        if variable.equals:
            return f"(e.get('protocol') == {self.bind(variable.equals)})"
        if variable.reader is not None:
            return f"{self.bind(variable.reader)}(e)"
        base = "e"
        for key in variable.path[:-1]:
            base = f"mapping({base}.get({self.bind(key)}))"
        key = self.bind(variable.path[-1])
        default = default_of(variable.name)
        value = f"{base}.get({key})" if default is None else f"{base}.get({key}, {self.bind(default)})"
        if variable.name in _LONG:
            return f"string({value})[:{MAX_TEXT}]"
        return f"{_READERS[variable.type.kind]}({value})"

    def _item(self, node: Node) -> str:
        return f"i{node.value}"

    def _and(self, node: Node) -> str:
        return f"({' and '.join(self._args(node))})"

    def _or(self, node: Node) -> str:
        return f"({' or '.join(self._args(node))})"

    def _not(self, node: Node) -> str:
        return f"(not {self.write(node.args[0])})"

    def _cond(self, node: Node) -> str:
        condition, yes, no = self._args(node)
        return f"({yes} if {condition} else {no})"

    def _compare(self, node: Node) -> str:
        left, right = self._args(node)
        return f"({left} {node.op} {right})"

    def _arith(self, node: Node) -> str:
        left, right = self._args(node)
        if node.type.kind in (Kind.STRING, Kind.DOUBLE):
            return f"divide({left}, {right})" if node.op == "/" else f"({left} {node.op} {right})"
        if node.op in _SIGNED:
            return f"wrap({left} {node.op} {right})"
        return f"{'quotient' if node.op == '/' else 'rest'}({left}, {right})"

    def _negate(self, node: Node) -> str:
        inner = self.write(node.args[0])
        return f"(-{inner})" if node.type.kind is Kind.DOUBLE else f"wrap(-{inner})"

    def _contains(self, node: Node) -> str:
        text, part = self._args(node)
        return f"({part} in {text})"

    def _startsWith(self, node: Node) -> str:  # noqa: N802 - as the operator is called
        text, part = self._args(node)
        return f"{text}.startswith({part})"

    def _endsWith(self, node: Node) -> str:  # noqa: N802 - as the operator is called
        text, part = self._args(node)
        return f"{text}.endswith({part})"

    def _matches(self, node: Node) -> str:
        search = self.bind(re2.compile(node.value).search)
        return f"({search}({self.write(node.args[0])}) is not None)"

    def _size(self, node: Node) -> str:
        return f"len({self.write(node.args[0])})"

    def _in(self, node: Node) -> str:
        item, group = node.args
        if group.op == "list" and all(one.op == "const" for one in group.args):
            return f"({self.write(item)} in {self.bind(frozenset(one.value for one in group.args))})"
        return f"({self.write(item)} in {self.write(group)})"

    def _list(self, node: Node) -> str:
        return f"[{', '.join(self._args(node))}]"

    def _index(self, node: Node) -> str:
        base, key = self._args(node)
        default = self.bind(empty(node.type.kind))
        if node.args[0].type.kind is Kind.MAP:
            return f"{base}.get({key}, {default})"
        return f"nth({base}, {key}, {default})"

    def _exists(self, node: Node) -> str:
        return self._quantified("any", node)

    def _all(self, node: Node) -> str:
        return self._quantified("all", node)

    def _quantified(self, function: str, node: Node) -> str:
        base, condition = node.args
        return f"{function}([{self.write(condition)} for i{node.value} in {self.write(base)}])"

    def _has(self, node: Node) -> str:
        inner = self.write(node.args[0])
        return f"bool({inner})"

    def _string(self, node: Node) -> str:
        return f"str({self.write(node.args[0])})"

    def _int(self, node: Node) -> str:
        return f"whole({self.write(node.args[0])})"

    def _double(self, node: Node) -> str:
        return f"float({self.write(node.args[0])})"


_SAME = (
    "id", "version", "protocol", "kind", "flow_id", "transport", "node_name", "timestamp", "elapsed_time", "method",
    "path", "summary", "status_code", "tags", *(f"{end}.{part}" for end in ("src", "dst") for part in (
        "ip", "port", "name", "namespace", "workload", "role")),
)
ON_ROWS: dict[str, str] = {
    **{name: f"e.{name.replace('.', '_')}" for name in _SAME},
    **{f"{end}.service.name": f"e.{end}_service" for end in ("src", "dst")},
    "ok": "(e.ok == 1)", "failed": "(e.ok == 0)",
    "call": "(e.kind != 'flow')",
    "conn": "(e.kind == 'flow' and e.protocol == 'tcp')", "flow": "(e.kind == 'flow' and e.protocol != 'tcp')",
}
"""Where a row (`weir.query.row`) has a field."""
_LONG = frozenset({"path", "summary"})
"""Texts of any length, of which filters see what rows keep: an archive looks at no more of them either, since else each
question about a path would read all entries as a whole."""


def on_rows(variable: Variable) -> bool:
    return variable.name in ON_ROWS or variable.foreign or bool(variable.equals)


_WRITERS = {
    **dict.fromkeys(("==", "!=", "<", "<=", ">", ">="), "compare"), **dict.fromkeys(("+", "-", "*", "/", "%"), "arith"),
}
_READERS = {
    Kind.STRING: "string", Kind.INT: "number", Kind.DOUBLE: "double", Kind.BOOL: "truth", Kind.BYTES: "octets",
    Kind.TIMESTAMP: "number", Kind.LIST: "strings", Kind.MAP: "by_name",
}


def _number(value: Any) -> int:
    return value if type(value) is int and -_WRAP <= value < _WRAP else 0


def _double(value: Any) -> float:
    return float(value) if type(value) in (int, float) else 0.0


def _truth(value: Any) -> bool:
    return value is True


def _octets(value: Any) -> bytes:
    return value if type(value) is bytes else b""


def _wrap(value: int) -> int:
    return (value + _WRAP) % (2 * _WRAP) - _WRAP


def _quotient(left: int, right: int) -> int:
    """Towards zero; 0 for a division by zero."""
    if not right:
        return 0
    value = abs(left) // abs(right)
    return _wrap(value if (left < 0) == (right < 0) else -value)


def _rest(left: int, right: int) -> int:
    """With the sign of the left side; 0 for a division by zero."""
    if not right:
        return 0
    value = abs(left) % abs(right)
    return -value if left < 0 else value


def _divide(left: float, right: float) -> float:
    return left / right if right else 0.0


def _whole(value: float) -> int:
    """Towards zero; what has no 64 bits is 0."""
    return int(value) if -9.2e18 < value < 9.2e18 else 0


def _nth(values: list[Any], at: int, default: Any) -> Any:
    return values[at] if 0 <= at < len(values) else default


_NAMES: dict[str, Any] = {
    "mapping": derived.mapping, "string": derived.string, "strings": derived.strings, "by_name": derived.by_name,
    "number": _number, "double": _double, "truth": _truth, "octets": _octets, "wrap": _wrap, "quotient": _quotient,
    "rest": _rest, "divide": _divide, "whole": _whole, "nth": _nth, "len": len, "any": any, "all": all, "bool": bool,
    "str": str, "float": float,
}
