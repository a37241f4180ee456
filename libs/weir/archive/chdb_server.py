"""An embedded ClickHouse (chdb) that speaks as much of ClickHouse's HTTP interface as `clickhouse` uses.

So hub and store have one way to an archive, and a crash of the engine takes no other process along. The engine knows
no users: whoever has the password may read and write the entries. What lies behind SQL besides entries (the process
with `SYSTEM SHUTDOWN`, the disk with `file()`, the network with `url()`) is out of reach: see `vocabulary`.

Traps of chdb: one process for each folder, and no `fork` after its import (a query in the child hangs).
"""

from __future__ import annotations

import asyncio
import hmac
import importlib
import os
import re
from base64 import b64decode
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlencode

from aiohttp import web

from weir.archive.vocabulary import refused
from weir.errors import ArchiveError

MAX_REQUEST = 512 << 20
BLOCK = 1 << 20
MEMORY_BYTES = 2 << 30
MARK_CACHE_BYTES = 64 << 20
LONGEST_S = 60
"""A question that takes longer is given up, whether or not somebody still waits for it."""
READERS = 3
"""Questions that are answered at once; inserts have connections of their own."""
KNOWS_THREADS = "SELECT count() FROM system.settings WHERE name = 'max_threads_min_free_memory_per_thread'"
ALL_THREADS = "SET max_threads_min_free_memory_per_thread = 0"
"""Under a limit of memory newer engines give a question one thread only, and it takes twice as long."""
WRITERS = 2
"""Inserts at once: rows of one are packed, in Python, while those of the other are sorted and compressed."""

INSTALL = "pip install 'weir[embedded]' (about 180 MB to download, 550 MB on disk)"

_DATA = re.compile(rb"\s*(INSERT\s+INTO\s+[^\n]{1,8192}?)\bFORMAT\s+(MsgPack|Native)\s*?\n", re.IGNORECASE)
_CODE = re.compile(r"Code:\s*(\d+)")

T = TypeVar("T")


class Failure(Exception):
    """What the engine answered instead of a result."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        code = _CODE.search(text)
        self.code = int(code[1]) if code else 1001
        self.text = text


class Engine:
    """chdb's connections to one folder: some for inserts, some for questions, each used by one thread at a time."""

    def __init__(self, folder: Path, memory_bytes: int = MEMORY_BYTES) -> None:
        chdb = load_chdb()
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        options = {"max_server_memory_usage": memory_bytes, "mark_cache_size": MARK_CACHE_BYTES}
        try:
            make = [chdb.connect(f"{folder}?{urlencode(options)}") for _ in range(WRITERS + READERS)]
            known = make[0].query(KNOWS_THREADS, "TabSeparated").bytes().strip() == b"1"
            for connection in make[WRITERS:]:
                connection.query(f"SET max_execution_time = {LONGEST_S}")
                if known:
                    connection.query(ALL_THREADS)
        except Exception as error:
            raise ArchiveError(
                f"the embedded archive in {folder} cannot be opened: {str(error).splitlines()[0]}",
                hint="only one process may use it: is another weir running on this folder?",
            ) from error
        self._writers: asyncio.Queue[Any] = asyncio.Queue()
        self._readers: asyncio.Queue[Any] = asyncio.Queue()
        for number, connection in enumerate(make):
            (self._writers if number < WRITERS else self._readers).put_nowait(connection)
        self._all = make
        self._threads = ThreadPoolExecutor(WRITERS + READERS, thread_name_prefix="chdb")

    async def ask(self, sql: str, parameters: dict[str, str]) -> bytes:
        return await self._run(self._readers, lambda connection: _query(connection, sql, parameters))

    async def insert(self, statement: str, form: str, blocks: Iterable[bytes]) -> None:
        """`blocks` are asked for in a thread."""
        await self._run(self._writers, lambda connection: _insert(connection, statement, form, blocks))

    async def _run(self, connections: asyncio.Queue[Any], work: Callable[[Any], T]) -> T:
        connection = await connections.get()
        running = asyncio.get_running_loop().run_in_executor(self._threads, work, connection)
        # A connection goes back when its work is over, whether or not somebody still waits for that.
        running.add_done_callback(lambda done: connections.put_nowait(connection))
        return await asyncio.shield(running)

    async def close(self) -> None:
        """Wait for what is running and let go of the folder."""
        await asyncio.to_thread(self._threads.shutdown)
        for connection in self._all:
            connection.close()


def load_chdb() -> Any:
    try:
        return importlib.import_module("chdb")
    except ImportError as error:
        raise ArchiveError("the embedded archive needs chdb, which is not installed", hint=INSTALL) from error


def _query(connection: Any, sql: str, parameters: dict[str, str]) -> bytes:
    try:
        result: bytes = connection.query(sql, "TabSeparated", params=parameters).bytes()
    except Exception as error:
        raise Failure(str(error)) from None
    return result


SETTINGS = "max_partitions_per_insert_block = 0, optimize_on_insert = 0"
"""Of inserts; what a client asks for in the URL of a request is not passed on."""

FAILED = "SELECT sum(value) FROM system.events WHERE event = 'FailedInsertQuery'"
WHY = """SELECT concat('Code: ', code, '. DB::Exception: ', last_error_message, '. (', name, ')') FROM system.errors
ORDER BY last_error_time DESC LIMIT 1"""


def _insert(connection: Any, statement: str, form: str, blocks: Iterable[bytes]) -> None:
    """A streamed insert whose commit fails (a full disk) ends in chdb without an exception, as if its rows had been
    written; only the engine's own counter tells, of all inserts: one beside that which failed is made again, too."""
    before = _query(connection, FAILED, {})
    try:
        with connection.send_insert(f"{statement} SETTINGS {SETTINGS}", form) as insert:
            for block in blocks:
                insert.append(block)
            insert.finish()
    except Exception as error:
        raise Failure(str(error)) from None
    if _query(connection, FAILED, {}) != before:
        raise Failure(_query(connection, WHY, {}).decode("utf-8", "replace").strip())


class Server:
    """The HTTP side."""

    def __init__(self, engine: Engine, user: str, password: str) -> None:
        self.engine = engine
        self._user = user.encode()
        self._password = password.encode()
        self._runner: web.AppRunner | None = None
        self.port = 0

    async def start(self, host: str, port: int) -> None:
        """Listen; port 0 takes any, see `port`."""
        app = web.Application(client_max_size=MAX_REQUEST)
        app.add_routes([web.get("/ping", self._ping), web.get("/", self._answer), web.post("/", self._answer)])
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=2.0)
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, host, port).start()
        except OSError as error:
            await self._runner.cleanup()
            why = os.strerror(error.errno) if error.errno else str(error)
            raise ArchiveError(
                f"the embedded archive cannot listen on {host}:{port}: {why}",
                hint="choose another address with --store.listen HOST:PORT",
            ) from error
        self.port = self._runner.addresses[0][1]

    async def close(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
        await self.engine.close()

    async def _ping(self, request: web.Request) -> web.Response:
        return web.Response(text="Ok.\n")

    def _known(self, request: web.Request) -> bool:
        scheme, _, given = request.headers.get("Authorization", "").partition(" ")
        try:
            user, _, password = b64decode(given, validate=True).partition(b":")
        except ValueError:
            return False
        right = hmac.compare_digest(password, self._password) & hmac.compare_digest(user, self._user)
        return scheme.lower() == "basic" and right

    async def _answer(self, request: web.Request) -> web.Response:
        if not self._known(request):
            return _failure(401, 516, "Code: 516. DB::Exception: authentication failed. (AUTHENTICATION_FAILED)")
        try:
            return await self._run(request)
        except Failure as failure:
            return _failure(500, failure.code, failure.text)

    async def _run(self, request: web.Request) -> web.Response:
        fields: dict[str, str] = dict(request.query)
        body = b""
        if request.content_type.startswith("multipart/"):
            fields |= {name: value for name, value in (await request.post()).items() if isinstance(value, str)}
        else:
            body = await request.read()
        if insert := _DATA.match(body):
            statement, form = insert[1].decode("utf-8", "replace"), insert[2].decode()
            _check(statement)
            blocks = (body[at : at + BLOCK] for at in range(insert.end(), len(body), BLOCK))
            await self.engine.insert(statement, form, blocks)
            return web.Response()
        sql = fields.pop("query", "") + body.decode("utf-8", "replace")
        _check(sql)
        parameters = {name[6:]: value for name, value in fields.items() if name.startswith("param_")}
        data = await self.engine.ask(sql, parameters)
        form = "Native" if re.search(r"\bFORMAT\s+Native\s*\Z", sql) else "TabSeparated"
        return web.Response(body=data, headers={"X-ClickHouse-Format": form})


def _check(sql: str) -> None:
    if reason := refused(sql):
        raise Failure(f"Code: 497. DB::Exception: {reason}. (ACCESS_DENIED)")


def _failure(status: int, code: int, text: str) -> web.Response:
    return web.Response(status=status, text=text, headers={"X-ClickHouse-Exception-Code": str(code)})
