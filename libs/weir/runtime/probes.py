"""`/healthz`, `/readyz` and `/metrics` of a process, beside whatever else it serves.

aiohttp and the Prometheus client are imported where they are used: a fifth of a second that commands which serve
nothing need not pay.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING

from weir.errors import SettingsError
from weir.runtime.health import Totals

if TYPE_CHECKING:
    from aiohttp import web


def split_listen(listen: str, setting: str = "listen") -> tuple[str, int]:
    """`HOST:PORT` or `[v6]:PORT` as a pair; `SettingsError` on nonsense."""
    host, _, port = listen.rpartition(":")
    if not host or not port.isdigit() or int(port) > 65535:
        raise SettingsError(f"{setting} = {listen!r} is not HOST:PORT", hint="for example 127.0.0.1:9100 or [::1]:9100")
    return host.strip("[]"), int(port)


@contextlib.asynccontextmanager
async def serve_probes(
    listen: str, totals: Totals, trouble: Callable[[], str], unready: Callable[[], str]
) -> AsyncIterator[None]:
    """Serve while the block runs; with an empty `listen` do nothing. `trouble` and `unready` say in words what is
    wrong with the process and what it waits for; nothing if all is well."""
    if not listen:
        yield
        return
    from aiohttp import web

    from weir.runtime.metrics import metrics_text

    def verdict(wrong: str) -> web.Response:
        return web.Response(text=wrong or "ok", status=503 if wrong else 200)

    async def health(_: web.Request) -> web.Response:
        return verdict(trouble())

    async def readiness(_: web.Request) -> web.Response:
        return verdict(trouble() or unready())

    async def metrics(_: web.Request) -> web.Response:
        return web.Response(body=metrics_text(totals), headers={"Content-Type": "text/plain; version=0.0.4"})

    app = web.Application()
    app.add_routes([
        web.get("/healthz", health), web.get("/readyz", readiness), web.get("/metrics", metrics)
    ])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    host, port = split_listen(listen, "runtime.listen")
    try:
        try:
            await web.TCPSite(runner, host, port).start()
        except OSError as error:
            raise SettingsError(f"cannot listen on {listen}: {error.strerror}", hint="choose another port") from error
        yield
    finally:
        await runner.cleanup()
