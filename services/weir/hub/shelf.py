"""Saved filters and macros: what people named and kept. A table of the bus; where the bus ends with this process, a
file of the data folder as well.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from weir.bus.api import Record, Table
from weir.bus.topics import SAVED
from weir.hub.answers import Saved, SavedWish
from weir.model.control import SavedFilter
from weir.query.filter.check import check, taken
from weir.query.structured import QueryError
from weir.runtime.service import Context

log = logging.getLogger("weir.hub")

FILE = "saved-filters.json"
MAX_SAVED = 500
MAX_NAME = 64
MAX_AUTHOR = 128
VISIBLE_S = 5.0
"""Until what was written can be read again."""
_MACRO = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z", re.ASCII)


class Shelf:
    def __init__(self, context: Context, table: Table, folder: Path | None = None) -> None:
        """`folder`: where to keep them beside the bus."""
        self._context = context
        self._table = table
        self._file = folder / FILE if folder is not None else None
        self._macros: tuple[int, dict[str, str]] = (-1, {})

    def _all(self) -> list[SavedFilter]:
        found = [one for _, one in self._table.items() if isinstance(one, SavedFilter)]
        return sorted(found, key=lambda one: one.name)

    def macros(self) -> Mapping[str, str]:
        """Texts by name; of one dictionary as long as nothing changes."""
        version = self._table.version
        if self._macros[0] != version:
            self._macros = version, {one.name: one.text for one in self._all() if one.macro and not taken(one.name)}
        return self._macros[1]

    def saved(self) -> list[Saved]:
        return [_shown(one) for one in self._all()]

    async def put(self, name: str, body: Any, agent: str) -> Saved:
        """Keep a filter, or replace the one of this name; `agent` is the program that asks."""
        wish = _wish(body)
        known = {one.name for one in self._all()}
        if name not in known and len(known) >= MAX_SAVED:
            raise QueryError(f"{MAX_SAVED} filters are saved", hint="remove some")
        self._check(name, wish)
        author = "".join(c for c in (wish.author or agent) if c.isprintable())[:MAX_AUTHOR]
        made = SavedFilter(
            name=name, text=wish.text, macro=wish.macro, author=author, updated_ns=self._context.clock.now_ns()
        )
        await self._publish(name, made)
        return _shown(made)

    def _check(self, name: str, wish: SavedWish) -> None:
        """The filter must be one, with its own name as a macro put in where others use it."""
        if not name.strip() or len(name) > MAX_NAME or not name.isprintable():
            raise QueryError("this is no name for a filter", hint=f"1 to {MAX_NAME} printable characters")
        if not wish.text.strip():
            raise QueryError("the filter is empty", hint='for example {"text": "http && status_code >= 500"}')
        macros = {key: text for key, text in self.macros().items() if key != name}
        if wish.macro:
            if not _MACRO.match(name):
                raise QueryError(f"{name!r} is no name for a macro", hint="letters, digits and _, no digit first")
            if taken(name):
                raise QueryError(f"{name!r} is a name of the filter language", hint="choose another")
            macros[name] = wish.text
        check(wish.text, macros=macros, now_ns=self._context.clock.now_ns())

    async def remove(self, name: str) -> Saved | None:
        """What it was; None if there is none."""
        found = next((one for one in self._all() if one.name == name), None)
        if found is None:
            return None
        users = [one.name for one in self._all() if one.name != name and self._uses(one, name)]
        if found.macro and users:
            raise QueryError(f"the macro {name!r} is used by {', '.join(users[:5])}", hint="change those first")
        await self._publish(name, None)
        return _shown(found)

    def _uses(self, one: SavedFilter, name: str) -> bool:
        macros = {key: text for key, text in self.macros().items() if key != name}
        try:
            check(one.text, macros=self.macros())
        except QueryError:
            return False
        try:
            check(one.text, macros=macros)
        except QueryError:
            return True
        return False

    async def _publish(self, name: str, value: SavedFilter | None) -> None:
        """Done when it can be read again."""
        key = name.encode()
        await self._context.bus.publish(SAVED, [Record(key, value)])
        await self._context.bus.flush()
        try:
            async with asyncio.timeout(VISIBLE_S):
                version = self._table.version
                while self._table.get(key) != value:
                    version = await self._table.changed(version)
        except TimeoutError:
            pass
        if self._file is not None:
            _write(self._file, self._all())

    async def restore(self) -> None:
        """Put what the file keeps on a bus that knows nothing of it."""
        if self._file is None:
            return
        kept = _read(self._file)
        known = {one.name for one in self._all()}
        fresh = [one for one in kept if one.name not in known]
        if fresh:
            await self._context.bus.publish(SAVED, [Record(one.name.encode(), one) for one in fresh])
            await self._context.bus.flush()


def _shown(one: SavedFilter) -> Saved:
    return Saved(name=one.name, text=one.text, macro=one.macro, author=one.author, updated_ns=one.updated_ns)


def _wish(body: Any) -> SavedWish:
    try:
        return msgspec.convert(body, SavedWish)
    except msgspec.ValidationError as error:
        raise QueryError(f"this is no filter to save: {error}", hint='{"text": "status_code >= 500"}') from None


def _read(file: Path) -> list[SavedFilter]:
    try:
        return msgspec.json.decode(file.read_bytes(), type=list[SavedFilter])[:MAX_SAVED]
    except FileNotFoundError:
        return []
    except (OSError, msgspec.DecodeError, UnicodeError) as error:
        log.warning("saved filters: %s cannot be read (%s); it is left as it is until one is saved", file, error)
        return []


def _write(file: Path, saved: list[SavedFilter]) -> None:
    aside = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        aside.write_bytes(msgspec.json.encode(saved))
        aside.replace(file)
    except OSError as error:
        log.warning("saved filters: %s cannot be written (%s); they are gone when weir ends", file, error)
