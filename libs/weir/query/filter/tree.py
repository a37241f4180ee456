"""What a filter says: first as it was written (`Syntax`), then with types and no names left to look up (`Node`)."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, NamedTuple

import msgspec

from weir.query.structured import QueryError


class Kind(StrEnum):
    STRING = "string"
    INT = "int"
    DOUBLE = "double"
    BOOL = "bool"
    BYTES = "bytes"
    TIMESTAMP = "timestamp"
    """ns since epoch."""
    DURATION = "duration"
    """ns."""
    LIST = "list"
    MAP = "map"
    GROUP = "group"
    """What has members but is no value itself: `src`, `request`."""


class Type(NamedTuple):
    kind: Kind
    item: Kind = Kind.STRING
    """Of the items of a list, or the values of a map; keys are strings."""

    def __str__(self) -> str:
        if self.kind is Kind.LIST:
            return f"list of {self.item}"
        return f"map of {self.item}" if self.kind is Kind.MAP else str(self.kind)


STRING, INT, DOUBLE, BOOL = Type(Kind.STRING), Type(Kind.INT), Type(Kind.DOUBLE), Type(Kind.BOOL)
BYTES, TIMESTAMP, DURATION = Type(Kind.BYTES), Type(Kind.TIMESTAMP), Type(Kind.DURATION)
STRINGS, INTS, TEXTS_BY_NAME = Type(Kind.LIST), Type(Kind.LIST, Kind.INT), Type(Kind.MAP)

_EMPTY: dict[Kind, Any] = {
    Kind.STRING: "", Kind.INT: 0, Kind.DOUBLE: 0.0, Kind.BOOL: False, Kind.BYTES: b"", Kind.TIMESTAMP: 0,
    Kind.DURATION: 0, Kind.LIST: [], Kind.MAP: {},
}


def empty(kind: Kind) -> Any:
    """The value of what is absent."""
    return _EMPTY[kind]


class FilterError(QueryError):
    """A filter that is none: what, where (`start` to `end`, in characters), and a hint."""

    def __init__(self, message: str, *, hint: str = "", start: int = 0, end: int = 0) -> None:
        super().__init__(message, hint=hint)
        self.start = start
        self.end = max(end, start + 1)

    def pointed(self, text: str) -> str:
        """The line of `text` with a mark below the place."""
        begin = text.rfind("\n", 0, self.start) + 1
        stop = text.find("\n", begin)
        line = text[begin : stop if stop >= 0 else len(text)]
        width = max(min(self.end, begin + len(line)) - self.start, 1)
        return f"{line}\n{' ' * (self.start - begin)}{'^' * width}"


class Syntax(msgspec.Struct, frozen=True):
    """A node as it was written.

    `op` is `name`, `select`, `index`, `call`, `method`, `const`, `list`, `map`, `ternary`, `or`, `and`, `not`,
    `negate`, `in`, or an operator (`==`, `+`, …); `value` is a name or a constant.
    """

    op: str
    args: tuple[Syntax, ...] = ()
    value: Any = None
    start: int = 0
    end: int = 0


class Node(msgspec.Struct, frozen=True):
    """A node with its type.

    `op`: `const` (value), `field` (value: a Variable), `item` (value: the number of the macro's variable), `and`, `or`,
    `not`, `cond`, a comparison, an operator, `contains`, `startsWith`, `endsWith`, `matches` (value: the pattern),
    `size`, `in`, `index`, `list`, `exists` and `all` (value: the number of its variable), `has`, `string`, `int`,
    `double`, and in SQL `keys` of a map.
    """

    op: str
    type: Type
    args: tuple[Node, ...] = ()
    value: Any = None
