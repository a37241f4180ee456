"""An export on its way: pages of the archive, written by `export`, one after the other. Bounded, and told when cut."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import msgspec
from aiohttp import web

from weir.archive.api import Archive
from weir.errors import WeirError
from weir.hub.export import Writer
from weir.query.structured import MAX_LIMIT, Query
from weir.runtime.service import Context

MAX_EXPORT = 100_000
"""Entries of one export."""
PAGE = 500
SEND_S = 30.0
"""A reader that takes nothing for so long is gone."""


async def download(
    request: web.Request, context: Context, archive: Archive, query: Query, limit: int, writer: Writer, form: str,
    page_s: float,
) -> web.StreamResponse:
    """Answer with a file of at most `limit` entries; each page of the archive may take `page_s` seconds.

    What goes wrong before the first byte is raised; after it the connection is cut, so that nobody takes half an
    export for a whole one.
    """
    async with asyncio.timeout(page_s):
        matched = await archive.count(query)
        first = await archive.query(msgspec.structs.replace(query, limit=min(PAGE, limit, MAX_LIMIT)))
    cut = matched > limit
    response = web.StreamResponse(headers={
        "Content-Type": writer.media, "Weir-Matched": str(matched), "Weir-Cut": str(cut).lower(),
        "Content-Disposition": f'attachment; filename="{_name(context.clock.now_ns(), form, limit, matched)}"',
    })
    await response.prepare(request)
    sent, page = 0, first
    try:
        await _send(response, writer.head())
        while True:
            await _send(response, "".join(writer.piece(entry) for entry in page.entries))
            sent += len(page.entries)
            if not page.next or sent >= limit:
                break
            async with asyncio.timeout(page_s):
                page = await archive.query(
                    msgspec.structs.replace(query, cursor=page.next, limit=min(PAGE, limit - sent))
                )
        await _send(response, writer.tail(f"cut: {sent:,} of {matched:,} entries" if cut else ""))
        await response.write_eof()
    except (WeirError, TimeoutError):
        context.counts.add("hub.exports.cut", 1)
        if request.transport is not None:
            request.transport.abort()
    return response


async def _send(response: web.StreamResponse, text: str) -> None:
    if text:
        async with asyncio.timeout(SEND_S):
            await response.write(text.encode("utf-8", "replace"))


def _name(now_ns: int, form: str, limit: int, matched: int) -> str:
    moment = datetime.fromtimestamp(now_ns // 10**9, UTC)
    cut = f"-{limit}-of-{matched}" if matched > limit else ""
    return f"weir-{moment:%Y%m%dT%H%M%SZ}{cut}.{form}"
