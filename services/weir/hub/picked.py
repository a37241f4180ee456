"""Entries with some of their fields only, in the contract's form. Pure."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any

from weir.model.entry import EntryMap
from weir.query.filter.derived import mapping
from weir.query.filter.variables import Variable, variables
from weir.query.structured import QueryError

ALWAYS = ("id", "timestamp")
_GROUPS = ("src", "dst", "request", "response", "request.body", "response.body")


class Picked:
    """`names`: variables of the filter language, or groups of them such as `src`; none: everything."""

    def __init__(self, names: Iterable[str]) -> None:
        self._readers: list[tuple[tuple[str, ...], Variable | None]] = []
        names = dict.fromkeys(names)
        for name in (*ALWAYS, *names) if names else ():
            known = variables().get(name)
            if known is None and name not in _GROUPS:
                raise _unknown(name)
            self._readers.append((tuple(name.split(".")), known))

    def __bool__(self) -> bool:
        return bool(self._readers)

    def of(self, entry: EntryMap) -> EntryMap:
        """What is asked for of an entry; what it does not have is left out."""
        if not self._readers:
            return entry
        made: EntryMap = {}
        for path, variable in self._readers:
            value = _worked_out(variable, entry) if variable is not None and not variable.path else at(entry, path)
            if value is not None:
                _put(made, path, value)
        return made


def _worked_out(variable: Variable, entry: EntryMap) -> Any:
    if variable.equals:
        return entry.get("protocol") == variable.equals
    return variable.reader(entry) if variable.reader is not None else None


def at(entry: EntryMap, path: tuple[str, ...]) -> Any:
    """What lies at a path; None if nothing does."""
    held: Any = entry
    for key in path:
        held = mapping(held).get(key)
    return held


def _put(made: EntryMap, path: tuple[str, ...], value: Any) -> None:
    for key in path[:-1]:
        inner = made.get(key)
        # A copy: what is asked for as a whole belongs to the entry.
        made[key] = dict(inner) if isinstance(inner, dict) else {}
        made = made[key]
    made[path[-1]] = value


def _unknown(name: str) -> QueryError:
    close = difflib.get_close_matches(name, [*variables(), *_GROUPS], n=1, cutoff=0.6)
    return QueryError(f"unknown field {name!r:.200}", hint=close[0] if close else "GET fields tells which there are")
