"""Finds the dissectors: every module in `weir.dissect.protocols`, and the entry points of the group `weir.dissectors`.

What several files declare must agree: a name that is given twice, or a field with two types, is refused with the
places of both. Which dissector reads a conversation is decided by whoever asks for `candidates`.
"""

from __future__ import annotations

import difflib
import importlib
import pkgutil
from collections.abc import Iterable, Iterator
from importlib.metadata import entry_points
from types import ModuleType

from weir.dissect import protocols
from weir.dissect.api import Dissector, Field, Limits
from weir.errors import SettingsError

GROUP = "weir.dissectors"
"""Entry point group by which other distributions add dissectors."""

_SHAPE = ("name", "State", "probe", "open", "feed", "gap", "close")


def dissector_class(module: ModuleType) -> type[Dissector]:
    """The one dissector that a module defines."""
    found = [
        value
        for value in vars(module).values()
        if isinstance(value, type)
        and value.__module__ == module.__name__
        and all(hasattr(value, part) for part in _SHAPE)
    ]
    if len(found) != 1:
        what = "no dissector" if not found else "several dissectors: " + ", ".join(c.__name__ for c in found)
        raise SettingsError(
            f"{module.__name__} defines {what}",
            hint=f"a dissector's file defines exactly one class with {', '.join(_SHAPE)}",
        )
    return found[0]


def find_classes() -> list[type[Dissector]]:
    """Every dissector that is installed, weir's own first, in order of file name."""
    found = [
        dissector_class(importlib.import_module(module.name))
        for module in sorted(pkgutil.iter_modules(protocols.__path__, protocols.__name__ + "."), key=lambda m: m.name)
    ]
    for entry in sorted(entry_points(group=GROUP), key=lambda e: e.name):
        loaded = entry.load()
        found.append(dissector_class(loaded) if isinstance(loaded, ModuleType) else loaded)
    return found


class Registry:
    """The dissectors in force, made for one set of limits; `only` leaves out all others."""

    def __init__(
        self,
        limits: Limits = Limits(),  # noqa: B008 - frozen
        only: Iterable[str] = (),
        classes: Iterable[type[Dissector]] | None = None,
    ) -> None:
        found = [cls(limits) for cls in (find_classes() if classes is None else classes)]
        _refuse_conflicts(found)
        wanted = set(only)
        self.limits = limits
        self._by_name = {d.name: d for d in found if not wanted or d.name in wanted}
        _refuse_unknown(wanted, [d.name for d in found])

    def __iter__(self) -> Iterator[Dissector]:
        return iter(self._by_name.values())

    def names(self) -> list[str]:
        return list(self._by_name)

    def get(self, name: str) -> Dissector | None:
        """None for a protocol that is unknown or left out."""
        return self._by_name.get(name)

    def candidates(self, transport: str, ports: Iterable[int] = ()) -> list[Dissector]:
        """Who may read a conversation over `tcp` or `udp` between these ports; the port's usual owners come first."""
        used = frozenset(ports)
        fitting = [d for d in self if transport in d.transports]
        return sorted(fitting, key=lambda d: not used & d.ports)

    def fields(self) -> list[tuple[Dissector, Field]]:
        """Every declared field, with each dissector that gives it."""
        return [(d, field) for d in self for field in d.fields]


def _refuse_conflicts(found: list[Dissector]) -> None:
    names: dict[str, Dissector] = {}
    fields: dict[str, tuple[Dissector, Field]] = {}
    for dissector in found:
        other = names.setdefault(dissector.name, dissector)
        if other is not dissector:
            raise SettingsError(
                f"two dissectors are named {dissector.name}: {_place(other)} and {_place(dissector)}",
                hint="remove one of the two packages, or rename one of the dissectors",
            )
        for field in dissector.fields:
            first, known = fields.setdefault(field.name, (dissector, field))
            if known.type is not field.type:
                raise SettingsError(
                    f"the field {field.name} is {known.type.__name__} in {_place(first)} "
                    f"and {field.type.__name__} in {_place(dissector)}",
                    hint="a filter variable has one type: rename one of the fields",
                )


def _refuse_unknown(wanted: set[str], known: list[str]) -> None:
    for name in sorted(wanted - set(known)):
        near = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean {near[0]}?" if near else "known are " + ", ".join(known)
        raise SettingsError(f"there is no dissector {name}", hint=hint)


def _place(dissector: Dissector) -> str:
    cls = type(dissector)
    return f"{cls.__module__}.{cls.__qualname__}"
