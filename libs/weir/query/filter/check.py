"""From what was written to what is meant: names looked up, types worked out, macros put in. What passes cannot fail."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping

import re2

from weir.query.filter.instants import parse_duration, parse_timestamp
from weir.query.filter.syntax import parse
from weir.query.filter.tree import (
    BOOL,
    DOUBLE,
    DURATION,
    INT,
    STRING,
    TIMESTAMP,
    FilterError,
    Kind,
    Node,
    Syntax,
    Type,
)
from weir.query.filter.variables import variables

MAX_PATTERN = 1000
MAX_MACROS = 20
"""Macros within macros."""
MAX_EXPANDED = 2000
"""Nodes with all macros put in."""
_PATTERN_BYTES = 1 << 20

_TEXT_TESTS = ("contains", "startsWith", "endsWith")
_ORDERED = frozenset({Kind.STRING, Kind.INT, Kind.DOUBLE, Kind.BYTES, Kind.TIMESTAMP, Kind.DURATION, Kind.BOOL})
_NUMBERS = frozenset({Kind.INT, Kind.DOUBLE})
_METHODS = ("contains", "startsWith", "endsWith", "matches", "size", "exists", "all")
_FUNCTIONS = ("size", "has", "timestamp", "duration", "now", "string", "int", "double", "map_get", "matches")
_TIMES: dict[tuple[str, Kind, Kind], Type] = {
    ("-", Kind.TIMESTAMP, Kind.TIMESTAMP): DURATION,
    ("+", Kind.TIMESTAMP, Kind.DURATION): TIMESTAMP,
    ("-", Kind.TIMESTAMP, Kind.DURATION): TIMESTAMP,
    ("+", Kind.DURATION, Kind.TIMESTAMP): TIMESTAMP,
    ("+", Kind.DURATION, Kind.DURATION): DURATION,
    ("-", Kind.DURATION, Kind.DURATION): DURATION,
}
_RESERVED = frozenset({"true", "false", "null", "in"})
_Handler = Callable[[Syntax], Node]


def check(text: str, *, macros: Mapping[str, str] | None = None, now_ns: int = 0) -> Node:
    """The typed tree of a filter, `true` for an empty one; raises FilterError.

    `macros` are filters by name; `now_ns` is what `now()` stands for, fixed from here on.
    """
    if not text.strip():
        return Node("const", BOOL, (), True)
    node = typed(text, macros=macros, now_ns=now_ns)
    if node.type is not BOOL:
        raise FilterError(
            f"a filter is true or false, this is {_a(node.type)}", hint=_as_condition(text, node.type), start=0,
            end=len(text),
        )
    return node


def taken(name: str) -> bool:
    """Whether a name has a meaning already, so that no macro may have it."""
    return name in variables() or _is_group(name) or name in _FUNCTIONS or name in _METHODS or name in _RESERVED


def typed(text: str, *, macros: Mapping[str, str] | None = None, now_ns: int = 0) -> Node:
    """The typed tree of an expression, whatever its type; raises FilterError."""
    return _Checker(macros or {}, now_ns).node(parse(text))


class _Checker:
    def __init__(self, macros: Mapping[str, str], now_ns: int) -> None:
        self._macros = macros
        self._now_ns = now_ns
        self._open: list[str] = []
        """Macros that are being put in, outermost first."""
        self._items: dict[str, tuple[int, Type]] = {}
        """Variables of `exists` and `all` by name: their number and type."""
        self._numbers = 0
        self._nodes = 0

    def node(self, syntax: Syntax) -> Node:
        self._nodes += 1
        if self._nodes > MAX_EXPANDED:
            raise _error("with its macros the filter has too many parts", "use fewer of them", syntax)
        handler: _Handler = getattr(self, f"_on_{_HANDLERS.get(syntax.op, syntax.op)}")
        return handler(syntax)

    # Names.

    def _on_const(self, syntax: Syntax) -> Node:
        kind, value = syntax.value
        return Node("const", kind, (), value)

    def _on_name(self, syntax: Syntax) -> Node:
        name: str = syntax.value
        if name in self._items:
            number, kind = self._items[name]
            return Node("item", kind, (), number)
        if name in self._macros:
            return self._macro(name, syntax)
        return self._field(name, syntax)

    def _on_select(self, syntax: Syntax) -> Node:
        path = _path_of(syntax)
        if path is not None and path.partition(".")[0] not in self._items:
            if path in variables() or _is_group(path.partition(".")[0]):
                return self._field(path, syntax)
            # `labels.app` is `labels["app"]`, as in CEL.
            base = self.node(syntax.args[0])
        else:
            base = self.node(syntax.args[0])
        if base.type.kind is Kind.MAP:
            return Node("index", Type(base.type.item), (base, Node("const", STRING, (), syntax.value)))
        raise _error(f"{_a(base.type)} has no field `{syntax.value}`", _members_hint(base.type), syntax)

    def _field(self, path: str, syntax: Syntax) -> Node:
        known = variables()
        if path in known:
            return Node("field", known[path].type, (), known[path])
        mapped, _, key = path.rpartition(".")
        if mapped in known and known[mapped].type.kind is Kind.MAP:
            base = Node("field", known[mapped].type, (), known[mapped])
            return Node("index", Type(base.type.item), (base, Node("const", STRING, (), key)))
        raise _unknown(path, [*known, *self._macros], syntax)

    def _macro(self, name: str, syntax: Syntax) -> Node:
        if name in self._open or len(self._open) >= MAX_MACROS:
            chain = " in ".join([name, *reversed(self._open)])
            raise _error(f"the macro {name!r} contains itself ({chain})", "change one of them", syntax)
        self._open.append(name)
        items, self._items = self._items, {}
        try:
            node = self.node(parse(self._macros[name]))
        except FilterError as error:
            raise _error(f"in the macro {name!r}: {error.message}", error.hint, syntax) from None
        finally:
            self._open.pop()
            self._items = items
        return node

    # Logic.

    def _on_and(self, syntax: Syntax) -> Node:
        return Node(syntax.op, BOOL, tuple(self._bool(arg) for arg in syntax.args))

    _on_or = _on_and
    _on_not = _on_and

    def _bool(self, syntax: Syntax) -> Node:
        node = self.node(syntax)
        if node.type is BOOL:
            return node
        raise _error(f"expected a condition, this is {_a(node.type)}", _as_condition("…", node.type), syntax)

    def _on_ternary(self, syntax: Syntax) -> Node:
        condition = self._bool(syntax.args[0])
        yes, no = _alike(self.node(syntax.args[1]), self.node(syntax.args[2]))
        if yes.type != no.type:
            raise _error(f"`? :` has {_a(yes.type)} on one side and {_a(no.type)} on the other",
                         "both must be of one type", syntax)
        return Node("cond", yes.type, (condition, yes, no))

    def _on_compare(self, syntax: Syntax) -> Node:
        left, right = _alike(self.node(syntax.args[0]), self.node(syntax.args[1]))
        equality = syntax.op in ("==", "!=")
        if left.type != right.type:
            raise _error(f"`{syntax.op}` compares {_a(left.type)} with {_a(right.type)}",
                         _conversion(left.type, right.type), syntax)
        if left.type.kind not in _ORDERED and not equality:
            raise _error(f"{_a(left.type)} has no order", "compare it with == or !=, or compare its size()", syntax)
        if left.type.kind in (Kind.MAP, Kind.LIST):
            raise _error(f"{_a(left.type)} cannot be compared as a whole", "use `in`, size(), exists() or an index",
                         syntax)
        return Node(syntax.op, BOOL, (left, right))

    def _on_in(self, syntax: Syntax) -> Node:
        item, group = self.node(syntax.args[0]), self.node(syntax.args[1])
        if group.type.kind is Kind.MAP and item.type.kind is Kind.STRING:
            return Node("in", BOOL, (item, group))
        if group.type.kind is Kind.LIST:
            if group.op == "list" and not group.args:
                return Node("const", BOOL, (), False)
            if item.type.kind is group.type.item:
                return Node("in", BOOL, (item, group))
            raise _error(f"`in` looks for {_a(item.type)} in a {group.type}", "both must be of one type", syntax)
        if group.type.kind is Kind.STRING:
            raise _error("`in` wants a list or a map on its right", "for a part of a text: text.contains(part)", syntax)
        raise _error(f"`in` cannot look into {_a(group.type)}", "it wants a list or a map on its right", syntax)

    # Arithmetic.

    def _on_arith(self, syntax: Syntax) -> Node:
        left, right = _alike(self.node(syntax.args[0]), self.node(syntax.args[1]))
        kinds = left.type.kind, right.type.kind
        if syntax.op == "+" and kinds == (Kind.STRING, Kind.STRING):
            return Node("+", STRING, (left, right))
        if left.type == right.type and left.type.kind in _NUMBERS and not (
            syntax.op == "%" and left.type.kind is Kind.DOUBLE
        ):
            return Node(syntax.op, left.type, (left, right))
        times = _TIMES.get((syntax.op, *kinds))
        if times is not None:
            return Node(syntax.op, times, (left, right))
        raise _error(f"`{syntax.op}` is not for {_a(left.type)} and {_a(right.type)}",
                     _conversion(left.type, right.type), syntax)

    def _on_negate(self, syntax: Syntax) -> Node:
        node = self.node(syntax.args[0])
        if node.type.kind not in _NUMBERS:
            raise _error(f"`-` is not for {_a(node.type)}", "it is for numbers; `!` turns conditions around", syntax)
        if node.op == "const":
            return Node("const", node.type, (), -node.value)
        return Node("negate", node.type, (node,))

    # Lists and maps.

    def _on_list(self, syntax: Syntax) -> Node:
        items = [self.node(arg) for arg in syntax.args]
        for item, written in zip(items, syntax.args, strict=True):
            if item.type != items[0].type or item.type.kind not in _ORDERED:
                raise _error(f"a list of {items[0].type} cannot hold {_a(item.type)}", "its items are of one type",
                             written)
        return Node("list", Type(Kind.LIST, items[0].type.kind if items else Kind.STRING), tuple(items))

    def _on_map(self, syntax: Syntax) -> Node:
        raise _error("maps cannot be written here", 'compare one value: request.headers["host"] == "…"', syntax)

    def _on_index(self, syntax: Syntax) -> Node:
        base, key = self.node(syntax.args[0]), self.node(syntax.args[1])
        wanted = {Kind.MAP: Kind.STRING, Kind.LIST: Kind.INT}.get(base.type.kind)
        if wanted is None:
            raise _error(f"{_a(base.type)} has no items", "an index is for lists and maps", syntax)
        if key.type.kind is not wanted:
            raise _error(f"the index of a {base.type} is {_a(Type(wanted))}, this is {_a(key.type)}",
                         'write request.headers["name"] or dns_answers[0]', syntax.args[1])
        return Node("index", Type(base.type.item), (base, key))

    # Functions.

    def _on_method(self, syntax: Syntax) -> Node:
        name, arguments = syntax.value, syntax.args[1:]
        if name in ("exists", "all"):
            return self._on_quantifier(syntax)
        if name not in _METHODS:
            raise _unknown_function(f".{name}()", [f".{known}()" for known in _METHODS], syntax)
        base = self.node(syntax.args[0])
        if name == "size":
            _expect(arguments, 0, "size()", syntax)
            return self._size(base, syntax)
        _expect(arguments, 1, f".{name}(text)", syntax)
        argument = self.node(arguments[0])
        if name == "contains" and base.type.kind is Kind.LIST:
            # As KFL2 has it beside `in`.
            return self._on_in(Syntax("in", (arguments[0], syntax.args[0]), None, syntax.start, syntax.end))
        if base.type.kind is not Kind.STRING or argument.type.kind is not Kind.STRING:
            raise _error(f".{name}() is for texts, this is {_a(base.type)} with {_a(argument.type)}",
                         "string(…) makes a text of a number", syntax)
        if name == "matches":
            return self._matches(base, argument, arguments[0])
        return Node(name, BOOL, (base, argument))

    def _matches(self, base: Node, pattern: Node, written: Syntax) -> Node:
        if pattern.op != "const":
            raise _error("a pattern must be written out", "put the pattern itself in quotes", written)
        if len(pattern.value) > MAX_PATTERN:
            raise _error(f"the pattern is longer than {MAX_PATTERN} characters", "split it with ||", written)
        _pattern(pattern.value, written)
        return Node("matches", BOOL, (base,), pattern.value)

    def _on_quantifier(self, syntax: Syntax) -> Node:
        _expect(syntax.args[1:], 2, f".{syntax.value}(name, condition)", syntax)
        base, name = self.node(syntax.args[0]), syntax.args[1]
        if base.type.kind not in (Kind.LIST, Kind.MAP):
            hint = f"{syntax.value}() is for lists and maps (their keys)"
            raise _error(f"{_a(base.type)} has no items", hint, syntax)
        if name.op != "name":
            raise _error("expected a name for the item", f"for example .{syntax.value}(x, x.contains(\"a\"))", name)
        shadowed = self._items.get(name.value)
        self._numbers += 1
        number = self._numbers
        self._items[name.value] = number, Type(base.type.item) if base.type.kind is Kind.LIST else STRING
        condition = self._bool(syntax.args[2])
        if shadowed is None:
            del self._items[name.value]
        else:
            self._items[name.value] = shadowed
        return Node(syntax.value, BOOL, (base, condition), number)

    def _on_call(self, syntax: Syntax) -> Node:
        name, arguments = syntax.value, syntax.args
        if name not in _FUNCTIONS:
            if name in variables():
                raise _error(f"`{name}` is a field, not a function", f"write `{name}` alone", syntax)
            raise _unknown_function(f"{name}()", [f"{known}()" for known in (*_FUNCTIONS, *_METHODS)], syntax)
        if name == "now":
            _expect(arguments, 0, "now()", syntax)
            return Node("const", TIMESTAMP, (), self._now_ns)
        if name == "map_get":
            return self._map_get(syntax)
        if name == "matches":
            _expect(arguments, 2, "matches(text, pattern)", syntax)
            return self._on_method(Syntax("method", arguments, "matches", syntax.start, syntax.end))
        _expect(arguments, 1, f"{name}(value)", syntax)
        node = self.node(arguments[0])
        if name == "size":
            return self._size(node, syntax)
        if name == "has":
            return self._has(node, syntax)
        if name in ("timestamp", "duration"):
            return self._instant(name, node, arguments[0])
        return self._convert(name, node, syntax)

    def _map_get(self, syntax: Syntax) -> Node:
        _expect(syntax.args, 3, "map_get(map, key, default)", syntax)
        base, key, default = (self.node(arg) for arg in syntax.args)
        wanted = base.type.item if base.type.kind is Kind.MAP else None
        if key.type.kind is not Kind.STRING or default.type.kind is not wanted:
            raise _error("map_get() wants a map, a text and a default of the map's type",
                         'map_get(request.headers, "host", "")', syntax)
        index = Node("index", default.type, (base, key))
        return Node("cond", default.type, (Node("in", BOOL, (key, base)), index, default))

    def _size(self, node: Node, syntax: Syntax) -> Node:
        if node.type.kind not in (Kind.STRING, Kind.BYTES, Kind.LIST, Kind.MAP):
            raise _error(f"{_a(node.type)} has no size", "size() is for texts, bytes, lists and maps", syntax)
        return Node("size", INT, (node,))

    def _has(self, node: Node, syntax: Syntax) -> Node:
        """Whether it is anything but empty: an absent field cannot be told from an empty one."""
        if node.op == "index" and node.args[0].type.kind is Kind.MAP:
            return Node("in", BOOL, (node.args[1], node.args[0]))
        if node.op != "field":
            raise _error("has() is about a field", 'has(grpc_status), has(request.headers["x"])', syntax)
        return Node("has", BOOL, (node,))

    def _instant(self, name: str, node: Node, written: Syntax) -> Node:
        kind = TIMESTAMP if name == "timestamp" else DURATION
        if node.type is kind:
            return node
        if node.op != "const" or node.type is not STRING:
            raise _error(f"{name}() wants a text that is written out",
                         'timestamp("2026-01-31T12:00:00Z"), duration("1h30m")', written)
        value = parse_timestamp(node.value) if kind is TIMESTAMP else parse_duration(node.value)
        if value is None:
            example = '"2026-01-31T12:00:00Z"' if kind is TIMESTAMP else '"300ms", "5m" or "1h30m"'
            raise _error(f"{node.value!r} is no {name}", f"for example {example}", written)
        return Node("const", kind, (), value)

    def _convert(self, name: str, node: Node, syntax: Syntax) -> Node:
        allowed: dict[str, tuple[Type, ...]] = {
            "string": (STRING, INT), "int": (INT, DOUBLE), "double": (DOUBLE, INT),
        }
        kind = {"string": STRING, "int": INT, "double": DOUBLE}[name]
        if node.type not in allowed[name]:
            raise _error(f"{name}() cannot take {_a(node.type)}",
                         f"it takes {' or '.join(str(one) for one in allowed[name])}", syntax)
        return node if node.type == kind else Node(name, kind, (node,))


_HANDLERS = {
    **dict.fromkeys(("==", "!=", "<", "<=", ">", ">="), "compare"), **dict.fromkeys(("+", "-", "*", "/", "%"), "arith"),
}


def _alike(left: Node, right: Node) -> tuple[Node, Node]:
    """A number that is written out is of the other side's type: `sample_rate < 1`; times and durations likewise."""
    return _adapted(left, right.type), _adapted(right, left.type)


def _adapted(node: Node, wanted: Type) -> Node:
    if node.type is INT and wanted is DOUBLE:
        return Node("const", DOUBLE, (), float(node.value)) if node.op == "const" else Node("double", DOUBLE, (node,))
    if node.op == "const" and node.type is STRING and wanted in (TIMESTAMP, DURATION):
        value = parse_timestamp(node.value) if wanted is TIMESTAMP else parse_duration(node.value)
        if value is not None:
            return Node("const", wanted, (), value)
    return node


def _pattern(pattern: str, written: Syntax) -> None:
    options = re2.Options()
    options.max_mem = _PATTERN_BYTES
    options.log_errors = False
    try:
        re2.compile(pattern, options=options)
    except re2.error as error:
        said = error.args[0] if error.args else ""
        reason = said.decode(errors="replace") if isinstance(said, bytes) else str(said)
        raise _error(f"the pattern is none: {reason}", "patterns are RE2: no look-ahead, no back references",
                     written) from None


def _path_of(syntax: Syntax) -> str | None:
    """`a.b.c` if it is nothing but names."""
    if syntax.op == "name":
        return str(syntax.value)
    if syntax.op != "select":
        return None
    base = _path_of(syntax.args[0])
    return None if base is None else f"{base}.{syntax.value}"


def _is_group(name: str) -> bool:
    """It has members but is no field itself."""
    return name not in variables() and any(known.startswith(f"{name}.") for known in variables())


def _expect(arguments: tuple[Syntax, ...], count: int, shape: str, syntax: Syntax) -> None:
    if len(arguments) != count:
        raise _error(f"{len(arguments)} arguments instead of {count}", f"write {shape}", syntax)


def _error(message: str, hint: str, syntax: Syntax) -> FilterError:
    return FilterError(message, hint=hint, start=syntax.start, end=syntax.end)


def _unknown(path: str, known: list[str], syntax: Syntax) -> FilterError:
    members = [name for name in known if name.startswith(f"{path}.")]
    start = syntax.start if syntax.op == "name" else syntax.end - len(path)
    if members:
        shown = ", ".join(members[:6])
        return FilterError(f"`{path}` is no value", hint=f"it has {shown}, …", start=start, end=syntax.end)
    close = difflib.get_close_matches(path, known, n=1, cutoff=0.6)
    hint = close[0] if close else "docs/reference/filter.md has all fields; texts stand in quotes"
    return FilterError(f'unknown field "{path}"', hint=hint, start=max(start, 0), end=syntax.end)


def _unknown_function(name: str, known: list[str], syntax: Syntax) -> FilterError:
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return _error(f"unknown function {name}", close[0] if close else f"there are {', '.join(known)}", syntax)


def _members_hint(kind: Type) -> str:
    return "for a text there are .contains(), .startsWith(), .endsWith(), .matches()" if kind is STRING else (
        "only maps and groups such as src and request have fields")


def _as_condition(text: str, kind: Type) -> str:
    shown = text if len(text) <= 40 else "…"
    by_kind = {
        Kind.STRING: f'{shown} == "…" or {shown}.contains("…")', Kind.INT: f"{shown} > 0",
        Kind.DOUBLE: f"{shown} > 0.0", Kind.LIST: f"size({shown}) > 0", Kind.MAP: f"size({shown}) > 0",
    }
    return by_kind.get(kind.kind, "compare it with something")


def _conversion(left: Type, right: Type) -> str:
    kinds = {left.kind, right.kind}
    if kinds == {Kind.STRING, Kind.INT}:
        return "write the number without quotes, or the text in quotes; string(…) makes a text of a number"
    if Kind.TIMESTAMP in kinds:
        return 'times are written timestamp("2026-01-31T12:00:00Z") or now() - duration("5m")'
    if Kind.DURATION in kinds:
        return 'durations are written duration("5m"); elapsed_time is a number of µs'
    return "both sides must be of one type"


def _a(kind: Type) -> str:
    name = {Kind.STRING: "a text", Kind.INT: "a whole number", Kind.DOUBLE: "a number", Kind.BOOL: "a condition",
            Kind.TIMESTAMP: "a time", Kind.DURATION: "a duration", Kind.BYTES: "bytes"}.get(kind.kind)
    return name or f"a {kind}"


