"""Text to tree. Limits on length, depth and size are here, before anything is done with what somebody typed."""

from __future__ import annotations

import re
from functools import cache
from importlib import resources
from typing import Any

from lark import Lark, Token, Tree
from lark.exceptions import UnexpectedCharacters, UnexpectedEOF, UnexpectedInput, UnexpectedToken

from weir.query.filter.tree import BOOL, BYTES, DOUBLE, INT, STRING, FilterError, Syntax, Type

MAX_TEXT = 4096
MAX_DEPTH = 64
MAX_NODES = 1000
MAX_INT = (1 << 63) - 1

_ESCAPES = {
    "a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "\\": "\\", "'": "'", '"': '"',
    "`": "`", "?": "?",
}
_ESCAPE = re.compile(r"\\(?:x([0-9A-Fa-f]{2})|u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})|([0-3][0-7]{2})|(.))", re.DOTALL)
_WORDS = {
    "NAME": "a field", "INT": "a number", "FLOAT": "a number", "STRING": "a text", "BYTES": "bytes", "RPAR": "`)`",
    "RSQB": "`]`", "RBRACE": "`}`", "LPAR": "`(`", "LSQB": "`[`", "LBRACE": "`{`", "COLON": "`:`", "COMMA": "`,`",
    "$END": "the end", "DOT": "`.`", "RELATION": "a comparison", "IN": "`in`", "SUM": "`+`", "MINUS": "`-`",
    "PRODUCT": "`*`", "BANG": "`!`", "QMARK": "`?`",
}
_VALUE = {"NAME", "INT", "FLOAT", "STRING", "BYTES"}


def parse(text: str) -> Syntax:
    """The tree of a filter that is not empty; raises FilterError."""
    if len(text) > MAX_TEXT:
        raise FilterError(
            f"the filter is longer than {MAX_TEXT:,} characters", hint="save parts of it as macros", start=MAX_TEXT
        )
    try:
        tree = _parser().parse(text)
    except UnexpectedInput as error:
        raise _unexpected(text, error) from None
    return _Reader().read(tree.children[0])


@cache
def _parser() -> Lark:
    grammar = resources.files(__package__).joinpath("grammar.lark").read_text(encoding="utf-8")
    return Lark(grammar, parser="lalr", propagate_positions=True, maybe_placeholders=True)


def _unexpected(text: str, error: UnexpectedInput) -> FilterError:
    at = error.pos_in_stream or 0
    if isinstance(error, UnexpectedCharacters):
        quote = text[at : at + 1]
        if quote in ("'", '"') or text[at + 1 : at + 2] in ("'", '"'):
            return FilterError("this text has no end", hint=f"close it with {quote}", start=at, end=len(text))
        if quote in ("=", "&", "|"):
            doubled = {"=": "==", "&": "&&", "|": "||"}[quote]
            return FilterError(f"unexpected `{quote}`", hint=f"did you mean `{doubled}`?", start=at)
        return FilterError(f"unexpected {quote!r}", hint="texts stand in quotes, fields do not", start=at)
    token = error.token if isinstance(error, UnexpectedToken) else None
    expected = _expected(set(error.expected) if isinstance(error, (UnexpectedToken, UnexpectedEOF)) else set())
    if token is None or token.type == "$END":
        return FilterError("the filter ends too early", hint=f"expected {expected}", start=len(text))
    return FilterError(
        f"unexpected `{token}`", hint=f"expected {expected}", start=token.start_pos or 0, end=token.end_pos or 0
    )


def _expected(names: set[str]) -> str:
    if names >= _VALUE:
        return "a field, a text, a number or `(`"
    if "RELATION" in names:
        closing = sorted(_WORDS[name] for name in names & {"RPAR", "RSQB", "RBRACE", "COLON"})
        return " or ".join([*closing, "an operator such as `==`, `&&`, `||`, `in`"])
    return " or ".join(sorted({_WORDS.get(name, f"`{name.lower()}`") for name in names}))


class _Reader:
    """Walks lark's tree once."""

    def __init__(self) -> None:
        self._nodes = 0
        self._depth = 0

    def read(self, tree: Any) -> Syntax:
        start = tree.meta.start_pos if not tree.meta.empty else 0
        end = tree.meta.end_pos if not tree.meta.empty else 0
        self._nodes += 1
        if self._nodes > MAX_NODES:
            raise FilterError("the filter has too many parts", hint="compare with a list: `path in [...]`", start=start)
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise FilterError("the filter is nested too deeply", hint="save parts of it as macros", start=start)
        node = self._node(str(tree.data), tree.children, start, end)
        self._depth -= 1
        return node

    def _node(self, kind: str, children: list[Any], start: int, end: int) -> Syntax:
        if kind in ("true", "false"):
            return Syntax("const", (), (BOOL, kind == "true"), start, end)
        if kind in _CONSTANTS:
            return Syntax("const", (), _CONSTANTS[kind](children[0]), start, end)
        if kind in ("name", "call"):
            name, arguments = str(children[0]), children[1:]
            return Syntax(kind, self._arguments(arguments[0] if arguments else None), name, start, end)
        if kind in ("select", "method"):
            args = (self.read(children[0]), *self._arguments(children[2] if kind == "method" else None))
            return Syntax(kind, args, str(children[1]), children[1].start_pos or 0, end)
        if kind in ("relate", "arith"):
            left, operator, right = children
            return Syntax(str(operator), (self.read(left), self.read(right)), None, start, end)
        if kind == "list":
            return Syntax("list", self._arguments(children[0]), None, start, end)
        if kind == "map":
            pairs = [child for child in children if isinstance(child, Tree)]
            return Syntax("map", tuple(self.read(part) for pair in pairs for part in pair.children), None, start, end)
        if kind == "null":
            raise FilterError("there is no null here", hint="an absent field is empty: compare with \"\" or 0, or use "
                              "`has(field)`", start=start, end=end)
        if kind in ("and_", "or_"):
            # A chain of these leans to the left, as deep as it is long.
            children = _links(kind, children)
        return Syntax(_OPERATORS[kind], tuple(self.read(child) for child in children), None, start, end)

    def _arguments(self, arguments: Any) -> tuple[Syntax, ...]:
        return tuple(self.read(child) for child in arguments.children) if arguments is not None else ()


def _links(kind: str, children: list[Any]) -> list[Any]:
    links = []
    while children[0].data == kind:
        links.append(children[1])
        children = children[0].children
    return [*children, *reversed(links)]


_OPERATORS = {
    "ternary": "ternary", "or_": "or", "and_": "and", "in_": "in", "minus": "-", "not_": "not", "negate": "negate",
    "index": "index",
}


def _int(token: Token) -> tuple[Type, int]:
    digits = token.rstrip("uU")
    value = int(digits, 16 if digits[:2] in ("0x", "0X") else 10)
    if value > MAX_INT:
        raise FilterError(f"{token} is too large", hint=f"numbers end at {MAX_INT}", start=token.start_pos or 0,
                          end=token.end_pos or 0)
    return INT, value


def _float(token: Token) -> tuple[Type, float]:
    value = float(token)
    if value in (float("inf"), float("-inf")):
        raise FilterError(f"{token} is too large", hint="write a smaller number", start=token.start_pos or 0,
                          end=token.end_pos or 0)
    return DOUBLE, value


def _string(token: Token) -> tuple[Type, str]:
    if token[0] in "rR":
        return STRING, token[2:-1]
    return STRING, _ESCAPE.sub(lambda match: _character(match, token), token[1:-1])


def _bytes(token: Token) -> tuple[Type, bytes]:
    inner = token[1:]
    if inner[0] in "rR":
        return BYTES, inner[2:-1].encode()

    def octets(match: re.Match[str]) -> str:
        code = (match[1] and int(match[1], 16)) or (match[4] and int(match[4], 8))
        if match[1] or match[4]:
            return chr(0xE000 + int(code or 0))
        return _character(match, token)

    # Octets of escapes travel through the text in a private range, so that other characters stay UTF-8.
    text = _ESCAPE.sub(octets, inner[1:-1])
    data = b"".join(
        bytes((ord(character) - 0xE000,)) if 0xE000 <= ord(character) < 0xE100 else character.encode()
        for character in text
    )
    return BYTES, data


def _character(match: re.Match[str], token: Token) -> str:
    code = match[1] or match[2] or match[3]
    value = int(code, 16) if code else int(match[4], 8) if match[4] else -1
    if value >= 0:
        if value > 0x10FFFF or 0xD800 <= value < 0xE000:
            raise FilterError(f"`{match[0]}` is no character", hint="code points end at 10FFFF, without D800 to DFFF",
                              start=token.start_pos or 0, end=token.end_pos or 0)
        return chr(value)
    if match[5] not in _ESCAPES:
        raise FilterError(
            f"unknown escape `{match[0]}`", hint=r"write `\\` for a backslash, or r'…' for a pattern",
            start=token.start_pos or 0, end=token.end_pos or 0,
        )
    return _ESCAPES[match[5]]


_CONSTANTS = {"int": _int, "float": _float, "string": _string, "bytes": _bytes}
