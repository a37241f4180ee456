"""One process from its settings: which sections it has, which bus it joins, how it ends.

`weir run STAGE…`, `weir up` and `python -m weir.<stage>` all come here; only the stages and flags differ.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec

from weir.bus.api import Bus
from weir.bus.joined import JoinedBus, local_topics
from weir.bus.memory import MemoryBus
from weir.bus.settings import BusSettings
from weir.errors import WeirError
from weir.runtime.run import Host, signals
from weir.runtime.service import Service
from weir.runtime.settings import RuntimeSettings
from weir.settings import Loaded, load
from weir.settings.load import misspelt_environment

ALIASES = {"WEIR_TOKEN": "hub.token", "WEIR_INSTANCE": "runtime.instance"}
"""Short environment names beside the derived ones."""

NOT_SETTINGS = {"WEIR_CACHE", "WEIR_REQUIRE", "WEIR_CONFIG", "WEIR_HUB"}
STAGE_SECTIONS = ("capture", "filter", "decode", "store", "targets", "hub")
"""Sections of a file that serves the whole installation, whichever stages run here."""


def sections(stages: Sequence[type[Service]]) -> dict[str, type[msgspec.Struct]]:
    """The sections that a process with these stages reads."""
    declared: dict[str, type[msgspec.Struct]] = {"runtime": RuntimeSettings, "bus": BusSettings}
    return declared | {stage.name: stage.Settings for stage in stages}


def load_settings(
    stages: Sequence[type[Service]],
    flags: Mapping[str, Any] | None = None,
    config: str | None = None,
    environ: Mapping[str, str] | None = None,
) -> Loaded:
    """Settings of a process from file, environment and flags; misspelt environment names are told on stderr."""
    environ = os.environ if environ is None else environ
    declared = sections(stages)
    loaded = load(
        declared, file=config or environ.get("WEIR_CONFIG"), environ=environ, flags=flags, aliases=ALIASES,
        elsewhere=STAGE_SECTIONS,
    )
    known = {s.env for s in loaded.settings.values()} | set(ALIASES) | NOT_SETTINGS
    for line in misspelt_environment(environ, known, [f"WEIR_{section.upper()}_" for section in declared]):
        print(f"weir: {line}", file=sys.stderr)  # noqa: T201
    return loaded


def data_dir(settings: RuntimeSettings) -> Path:
    """Where this installation keeps its files: the setting, else the user's data folder (XDG base directories)."""
    if settings.data_dir:
        return Path(settings.data_dir).absolute()
    base = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(base) / settings.instance


def open_bus(settings: BusSettings, instance: str, stages: Sequence[type[Service]] = ()) -> Bus:
    """The bus that the settings name: one in this process, or Kafka, with in memory what these stages keep to
    themselves."""
    near = MemoryBus(instance=instance, shards=settings.shards)
    # Whoever is quicker at the start must not fill a log whose reader has not come yet.
    near.expect(*(topic for stage in stages for topic in stage.consumes))
    if not settings.url:
        return near
    from weir.bus.kafka import KafkaBus  # aiokafka costs a tenth of a second that embedded commands need not pay

    far = KafkaBus(settings, instance=instance)
    local = local_topics([stage.name for stage in stages])
    return JoinedBus(near, far, local) if local else far


def own_ends(loaded: Loaded) -> list[str]:
    """HOST:PORT of everything that this process serves or connects to for weir's own sake: never to be captured."""
    ends = [end.strip() for end in loaded["bus"].url.split(",") if end.strip()]
    ends.append(loaded["runtime"].listen)
    for section, name in (("hub", "listen"), ("store", "listen"), ("store", "archive"), ("hub", "archive")):
        if section in loaded.sections:
            ends.append(_host_port(str(getattr(loaded[section], name))))
    return list(dict.fromkeys(end for end in ends if end and not end.endswith(":0")))


def _host_port(text: str) -> str:
    """The end that a setting names: itself, or that of its URL; empty for one without."""
    if "://" not in text:
        return text if ":" in text else ""
    parts = urlsplit(text)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return f"{parts.hostname}:{port}" if parts.hostname else ""


def make_host(
    stages: Sequence[type[Service]], loaded: Loaded, *, bus: Bus | None = None, shared: dict[str, Any] | None = None
) -> Host:
    """Stages with their settings on their bus, ready to `run`."""
    runtime: RuntimeSettings = loaded["runtime"]
    bus_settings: BusSettings = loaded["bus"]
    shared = shared if shared is not None else {}
    shared.setdefault("data_dir", data_dir(runtime))
    shared.setdefault("settings", loaded)
    shared.setdefault("capture.exclude", own_ends(loaded))
    node = runtime.node or socket.gethostname()
    return Host(
        [(stage, loaded[stage.name]) for stage in stages],
        bus or open_bus(bus_settings, runtime.instance, stages),
        runtime,
        embedded=not bus_settings.url,
        process=runtime.process or f"{socket.gethostname()}-{'+'.join(stage.name for stage in stages)}",
        node=node,
        shared=shared,
    )


async def run_host(host: Host) -> None:
    """Run until a signal or the end of the input, with the drain."""
    async with signals(host):
        await host.run()


def set_up_logging(level: str) -> None:
    logging.basicConfig(
        stream=sys.stderr, level=level.upper(), format="%(asctime)s %(levelname)-7s %(name)s: %(message)s"
    )
    # What aiokafka says of an outage reaches people through `Bus.trouble`, once and in words. The bus listens to its
    # logger for the reason, so that is kept from the terminal, not from being said.
    aiokafka = logging.getLogger("aiokafka")
    aiokafka.setLevel(logging.DEBUG if level == "debug" else logging.WARNING)
    aiokafka.propagate = level == "debug"
    aiokafka.addHandler(logging.NullHandler())
    if level != "debug":
        logging.getLogger("asyncio").addFilter(_not_of_aiokafka)


def _not_of_aiokafka(record: logging.LogRecord) -> bool:
    """Whether asyncio tells something else than a request that aiokafka left behind when its broker went away."""
    kind = record.exc_info[0] if record.exc_info else None
    return kind is None or not kind.__module__.startswith("aiokafka.")


def main(stages: Sequence[type[Service]], flags: Mapping[str, Any] | None = None) -> int:
    """Run stages with settings from file and environment; answers the exit code."""
    try:
        loaded = load_settings(stages, flags)
        set_up_logging(loaded["runtime"].log_level)
        asyncio.run(run_host(make_host(stages, loaded)))
    except WeirError as error:
        print(f"weir: {error}", file=sys.stderr)  # noqa: T201
        return error.exit_code
    except (KeyboardInterrupt, asyncio.CancelledError):
        return 130
    return 0
