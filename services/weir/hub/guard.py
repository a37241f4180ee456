"""The middleware in front of every handler: Host, token, limits, errors as JSON, and the headers of every answer."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from aiohttp import web

from weir.archive.api import ArchiveAway
from weir.errors import WeirError
from weir.hub.auth import Gate
from weir.hub.page import refused_page
from weir.hub.replies import refusal, wrong
from weir.query.structured import QueryError

log = logging.getLogger("weir.hub")

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

OPEN_PATHS = frozenset({"/healthz"})
TOKEN_HINT = "open the URL that weir printed when it started, or send `Authorization: Bearer TOKEN`"
COOKIE_AGE_S = 30 * 86400

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
    if request.path.startswith("/api/") or "text/html" not in request.headers.get("Accept", ""):
        return refusal(401, error, TOKEN_HINT)
    return web.Response(status=401, text=refused_page(error), content_type="text/html")


class Guard:
    """`refused` is told the reason of each refusal."""

    def __init__(
        self, gate: Gate, cookie: str, max_requests: int, timeout_s: float, refused: Callable[[str], None]
    ) -> None:
        self._gate = gate
        self._cookie = cookie
        self._slots = max_requests
        self._timeout_s = timeout_s
        self.refused = refused

    async def __call__(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        response = self._stop(request) or await self._answer(request, handler)
        if not response.prepared:
            for name, value in SECURITY.items():
                response.headers.setdefault(name, value)
            response.headers.setdefault("Cache-Control", NO_STORE)
        return response

    def _stop(self, request: web.Request) -> web.Response | None:
        """An answer, if the request is not to be answered by its handler."""
        host = request.headers.get("Host", "")
        if request.path in OPEN_PATHS:
            return None
        if not self._gate.host_ok(host):
            self.refused("host")
            return refusal(
                421, "this hub is not known under that name", "open it by address or localhost, or set hub.hosts"
            )
        if request.method in ("GET", "HEAD") and "token" in request.query and "/api/" not in request.path:
            return self._sign_in(request)
        return self._trespass(request, host)

    def _trespass(self, request: web.Request, host: str) -> web.Response | None:
        if self._gate.bearer_ok(request.headers.get("Authorization", "")):
            return None
        if not self._gate.cookie_ok(request.cookies.get(self._cookie, "")):
            self.refused("token")
            return unknown(request, "the token is missing or wrong")
        if not self._same_origin(request, host):
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

    def _sign_in(self, request: web.Request) -> web.Response:
        if not self._gate.token_ok(request.query["token"]):
            self.refused("token")
            return unknown(request, "the token is wrong")
        clean = request.rel_url.without_query_params("token")
        # One slash: a path that begins with two would be another host's name.
        response = web.Response(status=303, headers={"Location": "/" + str(clean).lstrip("/\\")})
        response.set_cookie(
            self._cookie, self._gate.cookie, httponly=True, samesite="Strict", max_age=COOKIE_AGE_S,
            secure=request.headers.get("X-Forwarded-Proto") == "https",
        )
        return response

    async def _answer(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.headers.get("Upgrade", "").lower() == "websocket" or request.path in OPEN_PATHS:
            return await self._told(request, handler)
        if self._slots <= 0:
            self.refused("busy")
            return refusal(503, "too many questions at once", "ask again in a moment")
        self._slots -= 1
        try:
            async with asyncio.timeout(self._timeout_s):
                return await self._told(request, handler)
        except TimeoutError:
            return refusal(503, f"no answer within {self._timeout_s:.0f} s", "narrow the time range or the filter")
        finally:
            self._slots += 1

    async def _told(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            return await handler(request)
        except QueryError as error:
            return wrong(error)
        except ArchiveAway as error:
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
