"""The middleware in front of every handler: Host, token, limits, errors as JSON, and the headers of every answer."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from aiohttp import web

from weir.archive.api import ArchiveAway, TooLong
from weir.errors import WeirError
from weir.hub.auth import Authenticator, Gate
from weir.hub.listen import heard
from weir.hub.page import refused_page
from weir.hub.replies import refusal, wrong
from weir.hub.routes import ROUTES
from weir.hub.settings import HubSettings
from weir.query.structured import QueryError

log = logging.getLogger("weir.hub")

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

OPEN_PATHS = frozenset(route.path for route in ROUTES if route.open)
TOKEN_HINT = "open the URL that weir printed when it started, or send `Authorization: Bearer TOKEN`"
COOKIE_AGE_S = 30 * 86400
LARGE = 1 << 20
"""Bytes of an answer that a slow reader does not get for nothing."""
SEND_S = 60.0
"""A reader that has not taken a large answer within this time is gone."""

SECURITY = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "font-src 'self'; connect-src 'self'; worker-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Server": "weir",
}
NO_STORE = "no-store"


def unknown(request: web.Request, error: str) -> web.Response:
    """For programs as JSON, for a person who opens the page as a page."""
    if "/api/" in request.path or "text/html" not in request.headers.get("Accept", ""):
        return refusal(401, error, TOKEN_HINT)
    return web.Response(status=401, text=refused_page(error), content_type="text/html")


async def dress(request: web.Request, response: web.StreamResponse) -> None:
    """Headers of every answer, streams and WebSockets included (a signal of the application)."""
    for name, value in SECURITY.items():
        response.headers[name] = value
    response.headers.setdefault("Cache-Control", NO_STORE)


class Guard:
    """`refused` is told the reason of each refusal."""

    def __init__(
        self, gate: Gate, authenticator: Authenticator, settings: HubSettings, cookie: str,
        refused: Callable[[str], None],
    ) -> None:
        self._gate = gate
        self._authenticator = authenticator
        self._cookie = cookie
        self._slots = settings.max_requests
        self._timeout_s = settings.query_timeout_s
        self._cookie_path = settings.base_path or "/"
        self._tls = bool(settings.tls_cert_file)
        self._open = {settings.base_path + path for path in OPEN_PATHS} | OPEN_PATHS
        self._streams = {settings.base_path + route.path for route in ROUTES if route.streams}
        self.refused = refused

    async def __call__(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        heard(request)
        return await self._stop(request) or await self._answer(request, handler)

    async def _stop(self, request: web.Request) -> web.Response | None:
        """An answer, if the request is not to be answered by its handler."""
        host = request.headers.get("Host", "")
        if request.path in self._open:
            return None
        if not self._gate.host_ok(host):
            self.refused("host")
            return refusal(
                421, "this hub is not known under that name", "open it by address or localhost, or set hub.hosts"
            )
        if request.method in ("GET", "HEAD") and "token" in request.query and "/api/" not in request.path:
            return await self._sign_in(request)
        return await self._trespass(request, host)

    async def _trespass(self, request: web.Request, host: str) -> web.Response | None:
        caller = await self._authenticator.caller(
            request.headers.get("Authorization", ""), request.cookies.get(self._cookie, "")
        )
        if caller is None:
            self.refused("token")
            return unknown(request, "the token is missing or wrong")
        if caller.by_cookie and not self._same_origin(request, host):
            self.refused("origin")
            return refusal(403, "another page asked", "use the hub's own page, or a bearer token")
        return None

    def _same_origin(self, request: web.Request, host: str) -> bool:
        """A cookie goes along with what any page asks; where that could do or read something, the page must be ours."""
        origin = request.headers.get("Origin")
        if origin is not None:
            return self._gate.origin_ok(origin, host)
        upgrade = request.headers.get("Upgrade", "").lower() == "websocket"
        return request.method in ("GET", "HEAD") and not upgrade

    async def _sign_in(self, request: web.Request) -> web.Response:
        cookie = await self._authenticator.sign_in(request.query)
        if cookie is None:
            self.refused("token")
            return unknown(request, "the token is wrong")
        clean = request.rel_url.without_query_params("token")
        query = f"?{clean.raw_query_string}" if clean.raw_query_string else ""
        # Relative: right below any prefix that an ingress takes away, and never another host's name.
        place = "./" + clean.raw_path.rpartition("/")[2].lstrip("\\")
        response = web.Response(status=303, headers={"Location": place + query})
        response.set_cookie(
            self._cookie, cookie, httponly=True, samesite="Strict", max_age=COOKIE_AGE_S, path=self._cookie_path,
            secure=self._tls or request.headers.get("X-Forwarded-Proto") == "https",
        )
        return response

    async def _answer(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path in self._streams or request.path in self._open:
            return await self._told(request, handler)
        if self._slots <= 0:
            self.refused("busy")
            return refusal(503, "too many questions at once", "ask again in a moment")
        self._slots -= 1
        try:
            async with asyncio.timeout(self._timeout_s):
                response = await self._told(request, handler)
            return await self._sent(request, response)
        except TimeoutError:
            return refusal(503, f"no answer within {self._timeout_s:g} s", "narrow the time range or the filter")
        finally:
            self._slots += 1

    async def _sent(self, request: web.Request, response: web.StreamResponse) -> web.StreamResponse:
        """Large answers are sent while they hold their slot, so that only so many are in memory at once."""
        body = response.body if isinstance(response, web.Response) else None
        if isinstance(body, bytes) and len(body) > LARGE:
            try:
                async with asyncio.timeout(SEND_S):
                    await response.prepare(request)
                    await response.write_eof()
            except TimeoutError:
                self.refused("slow reader")
                if request.transport is not None:
                    request.transport.abort()
        return response

    async def _told(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            return await handler(request)
        except QueryError as error:
            return wrong(error)
        except (ArchiveAway, TooLong) as error:
            return refusal(503, error.message, error.hint)
        except WeirError as error:
            return refusal(500, error.message, error.hint)
        except web.HTTPException as error:
            return refusal(error.status, error.reason, "see /api/v1/openapi.json for what there is")
        except (asyncio.CancelledError, TimeoutError, ConnectionError):
            raise
        except Exception:
            log.exception("answering %s", request.path)
            return refusal(500, "this is a bug in the hub", "its log has the details")
