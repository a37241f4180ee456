"""Talking to a hub over HTTP and WebSocket, and finding its address and token."""

from __future__ import annotations

import argparse
import contextlib
import ipaddress
import os
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import aiohttp
import msgspec

from weir.cli.args import Parser
from weir.errors import HubError, SettingsError
from weir.runtime.process import data_dir
from weir.runtime.settings import RuntimeSettings

DEFAULT = "http://127.0.0.1:8899"
ANSWER = aiohttp.ClientTimeout(total=60)
TOKEN_FILE = "hub.token"


def add_hub(parser: Parser) -> None:
    group = parser.add_argument_group("which hub")
    group.add_argument(
        "--hub", default=os.environ.get("WEIR_HUB", DEFAULT), metavar="URL",
        help=f"where the hub is; the URL that `weir up` prints, token included, does (or WEIR_HUB) [{DEFAULT}]",
    )
    group.add_argument("--token", help="the hub's token (or WEIR_TOKEN; else this user's own hub is tried)")
    group.add_argument(
        "--instance", default=os.environ.get("WEIR_INSTANCE", "weir"), metavar="NAME",
        help="installation whose token file is read [weir]",
    )


def address(args: argparse.Namespace) -> tuple[str, str]:
    """Base URL without a slash at its end, and token."""
    try:
        parts = urlsplit(args.hub if "//" in args.hub else f"http://{args.hub}")
        named = bool(parts.hostname) and parts.port != 0
    except ValueError:
        named = False
    if not named or parts.scheme not in ("http", "https"):
        raise SettingsError(f"--hub {args.hub!r} is no address of a hub", hint=f"for example {DEFAULT}")
    token = args.token or next(iter(parse_qs(parts.query).get("token", [])), "") or os.environ.get("WEIR_TOKEN", "")
    if not token and _is_here(parts.hostname or ""):
        token = _own_token(args.instance)
    return f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}", token


def _is_here(host: str) -> bool:
    """The token of this user's own hub is never sent to another machine."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _own_token(instance: str) -> str:
    folder = data_dir(RuntimeSettings(instance=instance, data_dir=os.environ.get("WEIR_RUNTIME_DATA_DIR", "")))
    try:
        return (folder / TOKEN_FILE).read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        return ""


class Hub:
    """One hub, with everything that can go wrong as a `HubError`."""

    def __init__(self, base: str, token: str, session: aiohttp.ClientSession) -> None:
        self.base = base
        self._session = session
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}

    async def get(self, path: str, params: dict[str, str] | None = None) -> Any:
        try:
            async with self._session.get(
                self.base + path, params=params, headers=self._headers, timeout=ANSWER
            ) as response:
                body = await response.read()
        except (aiohttp.ClientError, TimeoutError) as error:
            raise self._away(error) from error
        self._check(response.status, body)
        try:
            return msgspec.json.decode(body)
        except msgspec.DecodeError:
            raise self._stranger() from None

    @contextlib.asynccontextmanager
    async def tail(self, params: dict[str, str]) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
        try:
            async with self._session.ws_connect(
                self.base + "/api/v1/tail", params=params, headers=self._headers, heartbeat=20.0
            ) as socket:
                yield socket
        except aiohttp.WSServerHandshakeError as error:
            self._check(error.status, b"{}")
            raise self._stranger() from error
        except (aiohttp.ClientError, TimeoutError) as error:
            raise self._away(error) from error

    def _check(self, status: int, body: bytes) -> None:
        if status == 401:
            raise HubError(
                f"the hub at {self.base} refuses this token",
                hint="give --token or WEIR_TOKEN; the hub prints its URL with the token at its start",
            )
        if status >= 400:
            try:
                told = msgspec.json.decode(body, type=dict[str, Any])
            except msgspec.DecodeError:
                told = {}
            said = f": {told['error']}" if told.get("error") else ""
            hint = told.get("hint") or "is this the address of a hub? name it with --hub URL"
            raise HubError(f"the hub at {self.base} answered {status}{said}", hint=str(hint))

    def _away(self, error: Exception) -> HubError:
        why = str(error) or "no answer in time"
        if isinstance(error, aiohttp.ClientConnectorError):
            code = error.os_error.errno or 0
            why = os.strerror(code) if code > 0 else str(error.os_error)
        return HubError(f"no hub at {self.base}: {why}", hint="start one with `weir up`, or name it with --hub URL")

    def _stranger(self) -> HubError:
        return HubError(f"what answers at {self.base} is no hub", hint="name the hub's address with --hub URL")


@contextlib.asynccontextmanager
async def connect(args: argparse.Namespace) -> AsyncIterator[Hub]:
    base, token = address(args)
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=None, connect=10)) as session:
        yield Hub(base, token, session)
