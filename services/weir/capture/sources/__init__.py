"""Where packets come from. One module here adds a source: it is found by looking into this folder."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import AsyncGenerator, Iterable
from typing import ClassVar, Protocol

from weir.capture.settings import CaptureSettings
from weir.errors import SettingsError
from weir.model.control import Control, EndpointRecord
from weir.model.packets import PacketBlock
from weir.runtime.service import Context


class Source(Protocol):
    """What `SOURCE` of a module in this folder makes."""

    name: ClassVar[str]
    """As `capture.source` names it."""
    live: ClassVar[bool]
    """Packets come whether or not somebody takes them: blocks that the bus has no room for are dropped and counted."""

    def __init__(self, settings: CaptureSettings, context: Context) -> None: ...

    @classmethod
    def fits(cls, settings: CaptureSettings) -> bool:
        """Whether `auto` means this source."""
        ...

    def follow(self, control: Control) -> None:
        """A new control document is in force. Called once before `blocks`, and at any time later."""
        ...

    def learn(self, changes: Iterable[tuple[bytes, EndpointRecord | None]]) -> None:
        """What keys of the table of endpoints hold now, None for what is gone; likewise."""
        ...

    def blocks(self) -> AsyncGenerator[PacketBlock]:
        """The blocks of all its rings; the last one of each ring says `end`. Ends within a second once
        `context.stop` is set. Says in `context.modes` how it works and counts what it loses; raises SourceError."""
        ...

    def refused(self, block: PacketBlock) -> None:
        """The bus had no room for this block: tell its packets as lost in that ring's next one."""
        ...


def found() -> dict[str, type[Source]]:
    """Every source by its name."""
    modules = (importlib.import_module(f"{__name__}.{m.name}") for m in pkgutil.iter_modules(__path__))
    sources: list[type[Source]] = [module.SOURCE for module in modules]
    return {source.name: source for source in sources}


def choose(settings: CaptureSettings) -> type[Source]:
    """The source that the settings name."""
    sources = found()
    if settings.source == "auto":
        return next(source for source in sources.values() if source.fits(settings))
    if settings.source not in sources:
        raise SettingsError(
            f"capture.source: there is no source {settings.source!r}",
            hint=f"sources are auto, {', '.join(sorted(sources))}",
        )
    return sources[settings.source]
