"""Who may ask: token, cookie, Host and Origin. Pure; the app hands in the request's headers."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
from collections.abc import Iterable, Mapping
from typing import Protocol
from urllib.parse import urlsplit

import msgspec

MIN_TOKEN = 12
MAX_TOKEN = 512


class Caller(msgspec.Struct, frozen=True):
    """Who asks, as far as that is known."""

    name: str
    by_cookie: bool
    """A browser sent it along with whatever page asked: then the page must be ours."""


class Authenticator(Protocol):
    """Tells who asks. Asynchronous, since another one than the token may have to ask somebody else."""

    async def caller(self, authorization: str, cookie: str) -> Caller | None:
        """From the header Authorization and the hub's cookie; None for nobody who may ask."""
        ...

    async def sign_in(self, query: Mapping[str, str]) -> str | None:
        """The cookie for a page that was opened with these parameters, `token` among them; None if it is refused."""
        ...


class TokenAuthenticator:
    """Whoever has the token may ask everything. Comparisons take the same time whatever is wrong."""

    def __init__(self, token: str) -> None:
        self._token = token.encode()
        self._cookie = hmac.new(self._token, b"weir page cookie", hashlib.sha256).hexdigest()

    async def caller(self, authorization: str, cookie: str) -> Caller | None:
        scheme, _, given = authorization.partition(" ")
        if scheme.lower() == "bearer" and self._is_token(given.strip()):
            return Caller("token", by_cookie=False)
        if hmac.compare_digest(_encode(cookie), self._cookie.encode()):
            return Caller("token", by_cookie=True)
        return None

    async def sign_in(self, query: Mapping[str, str]) -> str | None:
        """The cookie proves the token and does not reveal it."""
        return self._cookie if self._is_token(query.get("token", "")) else None

    def _is_token(self, given: str) -> bool:
        return hmac.compare_digest(_encode(given), self._token)


class Gate:
    """Checks from where a request comes: the name it uses for the hub, and the page that asks."""

    def __init__(self, hosts: Iterable[str], listen_host: str) -> None:
        self._hosts = frozenset(host.lower().rstrip(".") for host in (*hosts, listen_host, "localhost"))

    def host_ok(self, host: str) -> bool:
        """Against DNS rebinding: a foreign page's own name may be made to point here, an address may not."""
        name = host_name(host)
        return bool(name) and ("*" in self._hosts or name in self._hosts or _is_address(name))

    def origin_ok(self, origin: str, host: str) -> bool:
        """A browser names the page that asks: it must be ours."""
        try:
            parts = urlsplit(origin)
            default = {"http": 80, "https": 443}[parts.scheme]
            theirs = (parts.hostname or "").rstrip("."), parts.port or default
            here = urlsplit(f"{parts.scheme}://{host}")
            ours = (here.hostname or "").rstrip("."), here.port or default
        except (ValueError, KeyError):
            return False
        return bool(theirs[0]) and theirs == ours


def host_name(host: str) -> str:
    """The name in a Host header, lower case, without port and brackets; empty for nonsense."""
    try:
        parts = urlsplit(f"//{host}")
        parts.port  # noqa: B018  an ill port raises here
        if parts.username is not None or parts.path or parts.query or parts.fragment:
            return ""
        return (parts.hostname or "").rstrip(".")
    except ValueError:
        return ""


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _encode(text: str) -> bytes:
    return text[: MAX_TOKEN + 1].encode("utf-8", "replace")
