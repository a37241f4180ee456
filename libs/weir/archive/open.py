"""Which archive a setting means: `memory`, `chdb`, or the URL of a ClickHouse server."""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from weir.archive.api import Archive, ArchiveAway
from weir.archive.clickhouse import LONGEST_S, ClickHouseArchive
from weir.archive.columns import FORMAT, NAMES, packed
from weir.archive.place import Place, place_of
from weir.errors import SettingsError
from weir.model.entry import EntryMap

KINDS = "memory, chdb, or http://user:password@host:8123/database"


EMBEDDED = "embedded ClickHouse"
FOLDER = "archive"
URL_FILE = "archive.url"
"""Written by the process that serves the embedded archive, for those who read it: address and password, mode 0600."""
WILDCARDS = {"0.0.0.0": "127.0.0.1", "::": "::1"}
UNKNOWN = Place(host="", port=0)


def check_archive(setting: str) -> str:
    """The setting, if it is one; SettingsError otherwise."""
    if setting not in ("memory", "chdb"):
        if not setting.startswith(("http://", "https://")):
            raise SettingsError(f"archive: {setting!r} is no archive", hint=f"one of: {KINDS}")
        place_of(setting)
    return setting


def memory_elsewhere(stage: str) -> SettingsError:
    """The archive is another process's memory."""
    return SettingsError(
        f"{stage}: the archive `memory` lives in one process, and this one lacks the other half of it",
        hint="run store and hub in one process (`weir run store hub --bus.url …`, or `weir up` for everything), or "
        "give both an archive that lasts: chdb with the same data folder, or a ClickHouse URL",
    )


async def open_writer(setting: str, data_dir: Path, host: str, port: int) -> Archive:
    """The archive that `store` writes. For `chdb` this process serves it on `host` and `port`."""
    if setting == "chdb":
        return await _serve(data_dir, host, port)
    return ClickHouseArchive(place_of(setting))


def open_reader(setting: str, data_dir: Path, longest_s: float = LONGEST_S) -> Archive:
    """The archive that `hub` reads; it need not be there yet. A question that takes longer is stopped."""
    if setting == "chdb":
        return ClickHouseArchive(
            UNKNOWN, writes=False, name=EMBEDDED, find=lambda: _found(data_dir / URL_FILE), longest_s=longest_s
        )
    return ClickHouseArchive(place_of(setting), writes=False, longest_s=longest_s)


class _Embedded(ClickHouseArchive):
    """Rows go to the engine of this process without HTTP: thirty megabytes of an insert through a socket of the loop
    wait for the interpreter at every piece while another insert is put into columns, and take longer than all else."""

    def __init__(self, place: Place, server: Any, announced: Path) -> None:
        super().__init__(place, name=EMBEDDED)
        self._server = server
        self._announced = announced
        self._statement = f"INSERT INTO {place.database}.entries ({', '.join(NAMES)})"

    async def _put(self, entries: Sequence[EntryMap]) -> None:
        from weir.archive.chdb_server import Failure

        try:
            await self._server.engine.insert(self._statement, FORMAT, packed(entries))
        except Failure as failure:
            raise self._error(failure) from failure

    async def close(self) -> None:
        self._announced.unlink(missing_ok=True)
        await super().close()
        await self._server.close()


async def _serve(data_dir: Path, host: str, port: int) -> Archive:
    from weir.archive.chdb_server import Engine, Server, load_chdb  # heavy, and absent where nobody asked for it

    # chdb changes the working directory while it is imported: on the loop's thread nobody opens a relative path then.
    load_chdb()
    password = secrets.token_urlsafe(24)
    server = Server(await asyncio.to_thread(Engine, data_dir / FOLDER), "weir", password)
    await server.start(host, port)
    name = WILDCARDS.get(host, host)
    url = f"http://weir:{quote(password, safe='')}@{f'[{name}]' if ':' in name else name}:{server.port}/weir"
    announced = data_dir / URL_FILE
    _write_secret(announced, url)
    return _Embedded(place_of(url), server, announced)


def _write_secret(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    aside.unlink(missing_ok=True)
    descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text + "\n")
    aside.rename(path)


def _found(path: Path) -> Place:
    try:
        return place_of(path.read_text(encoding="utf-8").strip())
    except OSError as error:
        raise ArchiveAway(
            f"the embedded archive is not served yet: {path}: {error.strerror}",
            hint="is `store` running with --archive chdb and the same data folder?",
        ) from error
