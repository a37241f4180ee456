"""The page's files, as `make ui` built them; without them a page that says so."""

from __future__ import annotations

from pathlib import Path

from aiohttp import web

from weir.hub.guard import Handler

MISSING = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>weir</title></head>
<body><h1>weir</h1>
<p>The page is not built in this installation: <code>make ui</code> builds it.</p>
<p>The API is at <a href="/api/v1/openapi.json">/api/v1/openapi.json</a>;
<code>weir tap</code> follows live entries in a terminal.</p></body></html>
"""


def page_routes(static: Path) -> list[web.AbstractRouteDef]:
    """Routes of the page: `/`, and everything below the folder."""
    index = static / "index.html"

    async def page(request: web.Request) -> web.StreamResponse:
        if index.is_file():
            return web.FileResponse(index, headers={"Cache-Control": "no-cache"})
        return web.Response(text=MISSING, content_type="text/html")

    routes: list[web.AbstractRouteDef] = [web.get("/", page)]
    for folder in sorted(static.iterdir()) if static.is_dir() else ():
        if folder.is_dir():
            routes.append(web.static(f"/{folder.name}", folder))
        elif folder != index:
            routes.append(web.get(f"/{folder.name}", _file(folder)))
    return routes


def _file(path: Path) -> Handler:
    async def handler(request: web.Request) -> web.StreamResponse:
        return web.FileResponse(path)

    return handler
