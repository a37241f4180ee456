"""Who may ask: token, cookie, Host and Origin. Pure; the app hands in the request's headers."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
from collections.abc import Iterable
from urllib.parse import urlsplit

MIN_TOKEN = 12
MAX_TOKEN = 512


class Gate:
    """Checks what a request brings. Comparisons take the same time whatever is wrong."""

    def __init__(self, token: str, hosts: Iterable[str], listen_host: str) -> None:
        self._token = token.encode()
        self._cookie = hmac.new(self._token, b"weir page cookie", hashlib.sha256).hexdigest()
        self._hosts = frozenset(host.lower().rstrip(".") for host in (*hosts, listen_host, "localhost"))

    @property
    def cookie(self) -> str:
        """What the page's cookie holds: it proves the token and does not reveal it."""
        return self._cookie

    def token_ok(self, given: str) -> bool:
        return hmac.compare_digest(_encode(given), self._token)

    def bearer_ok(self, authorization: str) -> bool:
        scheme, _, given = authorization.partition(" ")
        return scheme.lower() == "bearer" and self.token_ok(given.strip())

    def cookie_ok(self, given: str) -> bool:
        return hmac.compare_digest(_encode(given), self._cookie.encode())

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
