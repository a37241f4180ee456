"""The ClickHouse reader: a checked filter becomes a condition on the archive's columns, and on the JSON of the entry
where a field has no column of its own. Constants and patterns are bound; no text of a person becomes part of the SQL.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from weir.query.filter.tree import Kind, Node, Type
from weir.query.filter.variables import Variable, default_of

ENTRY = "entry"
"""The column with the whole entry as JSON."""

_TYPES = {
    Kind.STRING: "String", Kind.INT: "Int64", Kind.DOUBLE: "Float64", Kind.BOOL: "UInt8", Kind.TIMESTAMP: "Int64",
    Kind.DURATION: "Int64", Kind.BYTES: "String",
}
_SAME = (
    "id", "protocol", "kind", "flow_id", "transport", "node_name", "method", "path", "summary", "tags", "src.ip",
    "dst.ip", "src.name", "dst.name", "src.namespace", "dst.namespace", "src.workload", "dst.workload", "src.role",
    "dst.role",
)
_COLUMNS: dict[str, str] = {
    **{name: name.replace(".", "_") for name in _SAME},
    **{f"{end}.service.name": f"{end}_service" for end in ("src", "dst")},
    **{f"{end}.port": f"toInt64({end}_port)" for end in ("src", "dst")},
    "version": "toInt64(version)",
    "elapsed_time": "toInt64(elapsed_time)",
    "status_code": "toInt64(status_code)",
    "timestamp": "toUnixTimestamp64Nano(timestamp)",
    "ok": "(ok = 1)",
    "failed": "(ok = 0)",
    "call": "(kind != 'flow')",
    "conn": "(kind = 'flow' AND protocol = 'tcp')",
    "flow": "(kind = 'flow' AND protocol != 'tcp')",
    "source": "JSONExtractString(entry, 'source')",
}


def condition(node: Node) -> tuple[str, dict[str, Any]]:
    """A boolean SQL expression in parentheses, and its parameters by name (`{f0:String}`)."""
    writer = _Writer()
    return f"({writer.write(node)})", writer.bound


def value(node: Node, prefix: str = "f") -> tuple[str, dict[str, Any]]:
    """An SQL expression of the type of `node`, and its parameters by names that begin with `prefix`."""
    writer = _Writer(prefix)
    return writer.write(node), writer.bound


class _Writer:
    def __init__(self, prefix: str = "f") -> None:
        self._prefix = prefix
        self.bound: dict[str, Any] = {}

    def write(self, node: Node) -> str:
        writer: Callable[[Node], str] = getattr(self, f"_{_WRITERS.get(node.op, node.op)}")
        return writer(node)

    def bind(self, value: Any, kind: str) -> str:
        name = f"{self._prefix}{len(self.bound)}"
        self.bound[name] = value
        return f"{{{name}:{kind}}}"

    def _args(self, node: Node) -> list[str]:
        return [self.write(arg) for arg in node.args]

    def _const(self, node: Node) -> str:
        if node.type.kind is Kind.BOOL:
            return "true" if node.value else "false"
        if node.type.kind is Kind.BYTES:
            return f"unhex({self.bind(node.value.hex(), 'String')})"
        return self.bind(node.value, _TYPES[node.type.kind])

    def _field(self, node: Node) -> str:
        variable: Variable = node.value
        if variable.foreign:
            return _EMPTY[variable.type.kind]
        if variable.equals:
            return f"(protocol = {self.bind(variable.equals, 'String')})"
        if variable.name in _COLUMNS:
            return _COLUMNS[variable.name]
        if variable.name in _WORKED_OUT:
            return _WORKED_OUT[variable.name]
        value = _extracted(variable.type, variable.path)
        default = default_of(variable.name)
        if default is not None:
            bound = self.bind(default, _TYPES[variable.type.kind])
            return f"if(JSONHas({_keys(variable.path)}), {value}, {bound})"
        return value

    def _item(self, node: Node) -> str:
        return f"i{node.value}"

    def _and(self, node: Node) -> str:
        return f"({' AND '.join(self._args(node))})"

    def _or(self, node: Node) -> str:
        return f"({' OR '.join(self._args(node))})"

    def _not(self, node: Node) -> str:
        return f"(NOT {self.write(node.args[0])})"

    def _cond(self, node: Node) -> str:
        return f"if({', '.join(self._args(node))})"

    def _compare(self, node: Node) -> str:
        left, right = self._args(node)
        return f"({left} {'=' if node.op == '==' else node.op} {right})"

    def _arith(self, node: Node) -> str:
        left, right = self._args(node)
        if node.type.kind is Kind.STRING:
            return f"concat({left}, {right})"
        if node.type.kind is Kind.DOUBLE and node.op == "/":
            return f"if({right} = 0, 0., {left} / {right})"
        if node.op in _WHOLE:
            return f"{_WHOLE[node.op]}({left}, {right})"
        return f"({left} {node.op} {right})"

    def _negate(self, node: Node) -> str:
        return f"negate({self.write(node.args[0])})"

    def _contains(self, node: Node) -> str:
        text, part = self._args(node)
        return f"(position({text}, {part}) > 0)"

    def _startsWith(self, node: Node) -> str:  # noqa: N802 - as the operator is called
        return f"startsWith({', '.join(self._args(node))})"

    def _endsWith(self, node: Node) -> str:  # noqa: N802 - as the operator is called
        return f"endsWith({', '.join(self._args(node))})"

    def _matches(self, node: Node) -> str:
        # ClickHouse lets a dot match line feeds unless it is told.
        return f"match({self.write(node.args[0])}, {self.bind(f'(?-s){node.value}', 'String')})"

    def _size(self, node: Node) -> str:
        inner = node.args[0]
        if inner.type.kind is Kind.STRING:
            return f"toInt64(lengthUTF8({self.write(inner)}))"
        if inner.type.kind is Kind.MAP:
            return f"toInt64(length({self._keys_of(inner)}))"
        return f"toInt64(length({self.write(inner)}))"

    def _keys(self, node: Node) -> str:
        return self._keys_of(node.args[0])

    def _keys_of(self, node: Node) -> str:
        variable: Variable | None = node.value if node.op == "field" else None
        if variable is not None and variable.path:
            return f"arrayDistinct(JSONExtractKeys({_keys(variable.path)}))"
        return f"mapKeys({self.write(node)})"

    def _in(self, node: Node) -> str:
        item, group = node.args
        if group.type.kind is Kind.MAP:
            variable: Variable | None = group.value if group.op == "field" else None
            if variable is not None and variable.path:
                return f"JSONHas({_keys(variable.path)}, {self.write(item)})"
            return f"mapContains({self.write(group)}, {self.write(item)})"
        return f"has({self.write(group)}, {self.write(item)})"

    def _list(self, node: Node) -> str:
        kind = node.type.item
        if kind in (Kind.STRING, Kind.INT, Kind.DOUBLE) and all(one.op == "const" for one in node.args):
            return self.bind([one.value for one in node.args], f"Array({_TYPES[kind]})")
        return f"array({', '.join(self._args(node))})"

    def _index(self, node: Node) -> str:
        base, key = node.args
        if base.type.kind is Kind.MAP:
            variable: Variable | None = base.value if base.op == "field" else None
            if variable is not None and variable.path:
                return f"JSONExtractString({_keys(variable.path)}, {self.write(key)})"
            return f"arrayElement({self.write(base)}, {self.write(key)})"
        written = self.write(key)
        # Counted from 1; a negative index would count from the end, and 0 is an error.
        at = f"if({written} < 0 OR {written} > 1000000, 1000001, {written} + 1)"
        return f"arrayElement({self.write(base)}, {at})"

    def _exists(self, node: Node) -> str:
        return self._quantified("arrayExists", node)

    def _all(self, node: Node) -> str:
        return self._quantified("arrayAll", node)

    def _quantified(self, function: str, node: Node) -> str:
        base, inner = node.args
        values = self._keys_of(base) if base.type.kind is Kind.MAP else self.write(base)
        return f"{function}(i{node.value} -> {self.write(inner)}, {values})"

    def _has(self, node: Node) -> str:
        inner = node.args[0]
        value = self.write(inner)
        kind = inner.type.kind
        if kind is Kind.BOOL:
            return value
        if kind in (Kind.STRING, Kind.BYTES):
            return f"({value} != '')"
        if kind is Kind.MAP:
            return f"(length({self._keys_of(inner)}) > 0)"
        return f"(length({value}) > 0)" if kind is Kind.LIST else f"({value} != 0)"

    def _string(self, node: Node) -> str:
        return f"toString({self.write(node.args[0])})"

    def _int(self, node: Node) -> str:
        value = self.write(node.args[0])
        return f"if(abs({value}) < 9.2e18, toInt64({value}), 0)"

    def _double(self, node: Node) -> str:
        return f"toFloat64({self.write(node.args[0])})"


_WRITERS = {
    **dict.fromkeys(("==", "!=", "<", "<=", ">", ">="), "compare"), **dict.fromkeys(("+", "-", "*", "/", "%"), "arith"),
}
_WHOLE = {"/": "intDivOrZero", "%": "moduloOrZero"}
_EMPTY = {
    Kind.STRING: "''", Kind.INT: "toInt64(0)", Kind.BOOL: "false", Kind.LIST: "JSONExtract('[]', 'Array(String)')",
    Kind.MAP: "JSONExtract('{}', 'Map(String, String)')",
}


def _keys(path: tuple[str, ...]) -> str:
    """The entry and the keys that lead to a field; the names are ours."""
    return ", ".join([ENTRY, *(f"'{key}'" for key in path)])


def _extracted(kind: Type, path: tuple[str, ...]) -> str:
    keys = _keys(path)
    match kind.kind:
        case Kind.STRING:
            return f"JSONExtractString({keys})"
        case Kind.INT | Kind.TIMESTAMP:
            return f"JSONExtractInt({keys})"
        case Kind.DOUBLE:
            return f"JSONExtractFloat({keys})"
        case Kind.BOOL:
            return f"JSONExtractBool({keys})"
        case Kind.BYTES:
            return f"tryBase64Decode(JSONExtractString({keys}))"
        case Kind.LIST:
            return f"JSONExtract({keys}, 'Array(String)')"
        case _:
            return f"JSONExtract({keys}, 'Map(String, String)')"


def _text(*path: str) -> str:
    return _extracted(Type(Kind.STRING), path)


def _pod(end: str, part: str) -> str:
    pod, service = _text(end, "pod", part), _text(end, "service", part)
    return f"if({pod} != '', {pod}, {service})"


def _either(here: str, there: str) -> str:
    return f"arrayFilter(x -> x != '', arrayDistinct(array({here}, {there})))"


def _cookies(parts: str) -> str:
    """Pairs of the first `=`; of several with one name the first."""
    pairs = f"arrayFilter(p -> position(p, '=') > 1, arrayMap(p -> trimBoth(p), {parts}))"
    names = f"arrayMap(p -> substring(p, 1, position(p, '=') - 1), {pairs})"
    values = f"arrayMap(p -> substring(p, position(p, '=') + 1), {pairs})"
    first = f"arrayMap(n -> indexOf({names}, n), arrayDistinct({names}))"
    return f"mapFromArrays(arrayDistinct({names}), arrayMap(k -> arrayElement({values}, k), {first}))"


_WORKED_OUT: dict[str, str] = {
    "http2": f"({_text('http_version')} = '2')",
    "src.pod.name": _pod("src", "name"),
    "src.pod.namespace": _pod("src", "namespace"),
    "dst.pod.name": _pod("dst", "name"),
    "dst.pod.namespace": _pod("dst", "namespace"),
    "namespaces": _either("src_namespace", "dst_namespace"),
    "pods": _either(_text("src", "pod", "name"), _text("dst", "pod", "name")),
    "services": _either("src_service", "dst_service"),
    "workloads": _either("src_workload", "dst_workload"),
    "names": _either("src_name", "dst_name"),
    "request.cookies": _cookies(f"splitByChar(';', {_text('request', 'headers', 'cookie')})"),
    "response.cookies": _cookies(
        "arrayMap(h -> arrayElement(splitByChar(';', h), 1), "
        f"splitByChar('\\n', {_text('response', 'headers', 'set-cookie')}))"
    ),
    "local_labels": _extracted(Type(Kind.MAP), ("src", "labels")),
    "remote_labels": _extracted(Type(Kind.MAP), ("dst", "labels")),
    "local_node_name": _text("src", "node"),
    "remote_node_name": _text("dst", "node"),
    "capture_source": _text("source"),
    "capture_backend": _text("source"),
    "stream": "flow_id",
    "node_id": "node_name",
}
