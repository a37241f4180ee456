"""What may stand at the cursor of a filter that is being typed. Pure: the values of a field come from elsewhere.

The text need not be a filter yet, so it is read by its words, not by the grammar.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Literal, NamedTuple

import msgspec

from weir.query.filter.tree import Kind, Type
from weir.query.filter.variables import Variable, variables

MAX_OPTIONS = 50

What = Literal["variable", "value", "function", "operator", "macro"]


class Suggestion(msgspec.Struct, frozen=True, kw_only=True):
    """`text` replaces the filter from `Completion.start` to `end`."""

    text: str
    kind: What
    doc: str = ""


class Completion(msgspec.Struct, frozen=True, kw_only=True):
    """`values_of` is a field whose values fit here, too (`value_text` writes them); those that begin with `prefix`."""

    start: int
    end: int
    options: list[Suggestion] = []
    values_of: str = ""
    prefix: str = ""


class _Word(NamedTuple):
    kind: str
    """`open` (a text without its end), `text`, `path`, `number`, `compare`, `other`."""
    text: str
    start: int
    end: int


_WORD = re.compile(
    r"""(?P<text>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')|(?P<open>["'](?:[^\n])*\Z)|(?P<path>[A-Za-z_][\w.]*)"""
    r"""|(?P<number>\d[\w.]*)|(?P<compare>==|!=|<=|>=|<|>)|(?P<other>&&|\|\||[^\s])""",
    re.ASCII,
)
_REST_OF_PATH = re.compile(r"[\w.]*", re.ASCII)
_METHODS = {
    "contains": ('contains("…")', "The text has this part"),
    "startsWith": ('startsWith("…")', "The text begins so"),
    "endsWith": ('endsWith("…")', "The text ends so"),
    "matches": ('matches("…")', "The text fits the pattern (RE2)"),
    "size": ("size()", "Its length"),
    "exists": ('exists(x, x == "…")', "Some item fits"),
    "all": ('all(x, x != "…")', "Every item fits"),
}
_METHODS_OF = {
    Kind.STRING: ("contains", "startsWith", "endsWith", "matches", "size"), Kind.LIST: ("exists", "all", "size"),
    Kind.MAP: ("exists", "all", "size"),
}
_FUNCTIONS = {
    "has": ("has(", "Whether a field is there, and not empty"),
    "now": ("now()", "The present time"),
    "timestamp": ('timestamp("', "A time, as RFC 3339"),
    "duration": ('duration("', "A span of time: 300ms, 5m, 1h30m"),
    "size": ("size(", "Length of a text, a list or a map"),
    "map_get": ("map_get(", "A value of a map, or a default"),
}
_LOGIC = (("&&", "and"), ("||", "or"))
_COMPARE = (("==", "is"), ("!=", "is not"))
_ORDER = (("<", "less"), ("<=", "at most"), (">", "more"), (">=", "at least"))
_ORDERED = {Kind.INT, Kind.DOUBLE, Kind.TIMESTAMP, Kind.DURATION}
_TAKES_TEXT = {"contains", "startsWith", "endsWith"}


def complete(text: str, at: int, macros: Mapping[str, str]) -> Completion:
    """Options at character `at` of `text`, the likeliest first; `macros` are filters by name."""
    at = max(0, min(at, len(text)))
    words = [_Word(match.lastgroup or "other", match[0], match.start(), match.end())
             for match in _WORD.finditer(text[:at])]
    last = words[-1] if words else None
    if last is not None and last.kind == "open":
        return _in_text(text, at, words)
    if last is not None and last.kind in ("path", "number") and last.end == at:
        return _in_word(text, at, words, macros)
    if last is not None and (last.kind in ("path", "text", "number") or last.text in (")", "]")):
        return Completion(start=at, end=at, options=_operators(words, at))
    field = _asked(words)
    return Completion(start=at, end=at, values_of=field, options=_operands("", macros))


def value_text(value: str | int) -> str:
    """A value as it is written in a filter."""
    return str(value) if isinstance(value, int) else json.dumps(value, ensure_ascii=False)


def _in_text(text: str, at: int, words: list[_Word]) -> Completion:
    """Within quotes: the values of the field that the text is compared with."""
    word = words[-1]
    rest = re.compile(rf"[^\s{word.text[0]}]*{word.text[0]}?").match(text, at)
    return Completion(
        start=word.start, end=rest.end() if rest else at, values_of=_asked(words[:-1]), prefix=word.text[1:]
    )


def _in_word(text: str, at: int, words: list[_Word], macros: Mapping[str, str]) -> Completion:
    word, rest = words[-1], _REST_OF_PATH.match(text, at)
    end = rest.end() if rest else at
    base, _, part = word.text.rpartition(".")
    known = variables().get(base)
    options = []
    if known is not None and word.kind == "path":
        options = [
            Suggestion(text=f"{base}.{_METHODS[name][0]}", kind="function", doc=_METHODS[name][1])
            for name in _METHODS_OF.get(known.type.kind, ()) if name.startswith(part)
        ]
    field = _asked(words[:-1])
    if word.kind == "path":
        options += _operands(word.text, macros)
    return Completion(start=word.start, end=end, options=options[:MAX_OPTIONS], values_of=field, prefix=word.text)


def _operands(prefix: str, macros: Mapping[str, str]) -> list[Suggestion]:
    """Fields, macros and functions: those that begin so, then those that have it somewhere."""
    lower = prefix.lower()
    found = [Suggestion(text=name, kind="macro", doc=text[:200]) for name, text in macros.items()]
    found += [
        Suggestion(text=one.name, kind="variable", doc=_doc(one)) for one in variables().values() if not one.foreign
    ]
    found += [Suggestion(text=text, kind="function", doc=doc) for text, doc in _FUNCTIONS.values()]
    begins = [one for one in found if one.text.lower().startswith(lower)]
    holds = [one for one in found if lower and lower in one.text.lower() and one not in begins]
    return [*begins, *holds][:MAX_OPTIONS]


def _doc(variable: Variable) -> str:
    return f"{variable.doc} ({variable.type})"


def _operators(words: list[_Word], at: int) -> list[Suggestion]:
    """What may follow an operand."""
    last = words[-1]
    known = variables().get(last.text) if last.kind == "path" else None
    compared = len(words) > 1 and words[-2].kind == "compare"
    if known is None or compared or known.type.kind is Kind.BOOL:
        return _listed(_LOGIC)
    return _of_type(known.type)


def _of_type(kind: Type) -> list[Suggestion]:
    if kind.kind in (Kind.LIST, Kind.MAP):
        return _listed((("[", "an item"), *_LOGIC))
    ordered = _ORDER if kind.kind in _ORDERED else ()
    return _listed((*_COMPARE, *ordered, ("in [", "one of these"), *_LOGIC))


def _listed(pairs: Iterable[tuple[str, str]]) -> list[Suggestion]:
    return [Suggestion(text=text, kind="operator", doc=doc) for text, doc in pairs]


def _asked(words: list[_Word]) -> str:
    """The field whose value is expected behind these words; empty if none is."""
    if not words:
        return ""
    last = words[-1]
    if last.kind == "compare" and len(words) > 1:
        return _field(words[-2].text)
    if last.text in ("[", ","):
        return _before_list(words)
    if last.text == "(" and len(words) > 1:
        field, _, method = words[-2].text.rpartition(".")
        return _field(field) if method in _TAKES_TEXT else ""
    return ""


def _before_list(words: list[_Word]) -> str:
    """Of `path in [a, b` the path; of `headers[` the map, whose keys are expected."""
    at = len(words) - 1
    while at >= 0 and words[at].text != "[":
        if words[at].kind not in ("text", "number") and words[at].text != ",":
            return ""
        at -= 1
    if at >= 2 and words[at - 1].text == "in":
        return _field(words[at - 2].text)
    held = variables().get(words[at - 1].text) if at >= 1 else None
    return held.name if held is not None and held.type.kind is Kind.MAP else ""


def _field(name: str) -> str:
    known = variables().get(name)
    return name if known is not None and known.type.kind in (Kind.STRING, Kind.INT, Kind.LIST) else ""
