"""Label selectors in the syntax of Kubernetes, compiled to a predicate over a mapping of labels.

Equality (`=`, `==`, `!=`), sets (`in`, `notin`) and existence (`key`, `!key`), joined by commas, as
`k8s.io/apimachinery/pkg/labels` reads them. `!=` and `notin` also hold where the label is absent. The comparisons of
numbers (`>`, `<`), which only node affinity uses, are refused.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import msgspec

from weir.errors import SettingsError

HINT = "a label selector is for example: app=web,tier in (front, back),!canary"
_TOKEN = re.compile(r"\s*(?:(==|!=|[=!(),<>])|([^\s=!(),<>]+))")
_NAME = re.compile(r"[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
_PREFIX = re.compile(r"[a-z0-9](?:[-a-z0-9.]{0,251}[a-z0-9])?")


class Requirement(msgspec.Struct, frozen=True):
    """One condition on one label."""

    key: str
    values: frozenset[str] | None = None
    """None: only whether the label is there matters."""
    negative: bool = False

    def holds(self, labels: Mapping[str, str]) -> bool:
        value = labels.get(self.key)
        if value is None:
            return self.negative
        return (self.values is None or value in self.values) is not self.negative


class Selector(msgspec.Struct, frozen=True):
    """All requirements have to hold; without any, everything is selected."""

    requirements: tuple[Requirement, ...] = ()

    def holds(self, labels: Mapping[str, str]) -> bool:
        return all(requirement.holds(labels) for requirement in self.requirements)


def parse_selector(text: str) -> Selector:
    """Read a selector; whatever is none raises SettingsError with the place and a hint."""
    reader = _Reader(text)
    requirements = []
    while not reader.at_end():
        requirements.append(_requirement(reader))
        if reader.at_end():
            break
        reader.expect(",")
        if reader.at_end():
            raise reader.wrong("nothing follows the comma")
    return Selector(tuple(requirements))


class _Reader:
    """Tokens of a selector with their places."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._tokens: list[tuple[int, str]] = []
        end = len(text.rstrip())
        at = 0
        while at < end:
            match = _TOKEN.match(text, at)
            assert match is not None
            self._tokens.append((match.start(match.lastindex or 0), match.group(match.lastindex or 0)))
            at = match.end()
        self._next = 0

    def at_end(self) -> bool:
        return self._next >= len(self._tokens)

    def peek(self) -> str:
        return "" if self.at_end() else self._tokens[self._next][1]

    def take(self) -> str:
        word = self.peek()
        self._next += 1
        return word

    def accept(self, word: str) -> bool:
        if self.peek() != word:
            return False
        self._next += 1
        return True

    def expect(self, word: str) -> None:
        if not self.accept(word):
            raise self.wrong(f"expected {word!r}")

    def wrong(self, what: str) -> SettingsError:
        """An error at the next token."""
        at = len(self.text) if self.at_end() else self._tokens[self._next][0]
        found = f", found {self.peek()!r}" if self.peek() else ""
        return SettingsError(f"label selector {self.text!r}, character {at + 1}: {what}{found}", hint=HINT)


def _requirement(reader: _Reader) -> Requirement:
    absent = reader.accept("!")
    key = _key(reader)
    if absent or reader.peek() in ("", ","):
        return Requirement(key, negative=absent)
    if reader.accept("=") or reader.accept("=="):
        return Requirement(key, frozenset([_value(reader)]))
    if reader.accept("!="):
        return Requirement(key, frozenset([_value(reader)]), negative=True)
    if reader.peek() in ("in", "notin"):
        negative = reader.take() == "notin"
        reader.expect("(")
        values = {_value(reader)}
        while reader.accept(","):
            values.add(_value(reader))
        reader.expect(")")
        return Requirement(key, frozenset(values), negative=negative)
    raise reader.wrong("expected =, !=, in, notin or a comma after the key")


def _key(reader: _Reader) -> str:
    key = reader.peek()
    prefix, slash, name = key.rpartition("/")
    if not _NAME.fullmatch(name) or (slash and not _PREFIX.fullmatch(prefix)):
        raise reader.wrong("expected the key of a label")
    return reader.take()


def _value(reader: _Reader) -> str:
    """A value may be empty: `key=` and `key in (,a)` ask for the empty one."""
    if reader.peek() in ("", ",", ")"):
        return ""
    if not _NAME.fullmatch(reader.peek()):
        raise reader.wrong("expected the value of a label")
    return reader.take()
