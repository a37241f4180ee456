"""The page's files, as `make ui` built them; without them a page that says so."""

from __future__ import annotations

import html
from collections.abc import Awaitable, Callable
from pathlib import Path

from aiohttp import web

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

REFUSED = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>weir: not let in</title></head>
<body><h1>weir</h1>
<p>Not let in: {error}.</p>
<p>Open the whole URL that weir printed when it started; it ends in <code>?token=…</code>.
The token is also kept in <code>hub.token</code> in weir's data folder, or it is the <code>WEIR_TOKEN</code> that
weir was started with.</p></body></html>
"""

MISSING = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>weir</title></head>
<body><h1>weir</h1>
<p>The page is not built in this installation: <code>make ui</code> builds it.</p>
<p>The API is at <a href="/api/v1/openapi.json">/api/v1/openapi.json</a>;
<code>weir tap</code> follows live entries in a terminal.</p></body></html>
"""


def refused_page(error: str) -> str:
    """What a person reads who came without the token."""
    return REFUSED.format(error=html.escape(error))


def page_routes(static: Path, base: str = "") -> list[web.AbstractRouteDef]:
    """Routes of the page: `/`, and everything in the folder; all below `base`."""
    index = static / "index.html"

    async def page(request: web.Request) -> web.StreamResponse:
        if index.is_file():
            return web.FileResponse(index, headers={"Cache-Control": "no-cache"})
        return web.Response(text=MISSING, content_type="text/html")

    routes: list[web.AbstractRouteDef] = [web.get(f"{base}/", page)]
    if base:
        routes.append(web.get(base, _slash(base)))
    for folder in sorted(static.iterdir()) if static.is_dir() else ():
        if folder.is_dir():
            routes.append(web.static(f"{base}/{folder.name}", folder))
        elif folder != index:
            routes.append(web.get(f"{base}/{folder.name}", _file(folder)))
    return routes


def _file(path: Path) -> Handler:
    async def handler(request: web.Request) -> web.StreamResponse:
        return web.FileResponse(path)

    return handler


def _slash(base: str) -> Handler:
    async def handler(request: web.Request) -> web.StreamResponse:
        """The page's links are relative: below the base, not beside it."""
        return web.Response(status=303, headers={"Location": f"./{base.rpartition('/')[2]}/"})

    return handler
