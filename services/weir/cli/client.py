"""Talking to a hub over HTTP and WebSocket, and finding its address and token."""

from __future__ import annotations

import argparse
import contextlib
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import aiohttp
import msgspec

from weir.errors import HubError

DEFAULT = "http://127.0.0.1:8899"
TOKEN_FILE = "hub.token"


def add_hub(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--hub", default=os.environ.get("WEIR_HUB", DEFAULT), metavar="URL",
        help=f"where the hub is; the URL that `weir up` prints, token included, does (or WEIR_HUB) [{DEFAULT}]",
    )
    parser.add_argument("--token", help="the hub's token (or WEIR_TOKEN; else this user's own hub is tried)")
    parser.add_argument("--instance", default="weir", help="installation whose token file is read [weir]")


def address(args: argparse.Namespace) -> tuple[str, str]:
    """Base URL without a slash at its end, and token."""
    parts = urlsplit(args.hub if "//" in args.hub else f"http://{args.hub}")
    token = args.token or next(iter(parse_qs(parts.query).get("token", [])), "") or os.environ.get("WEIR_TOKEN", "")
    return f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}", token or _own_token(args.instance)


def _own_token(instance: str) -> str:
    base = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    try:
        return (Path(base) / instance / TOKEN_FILE).read_text(encoding="ascii").strip()
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
            async with self._session.get(self.base + path, params=params, headers=self._headers) as response:
                body = await response.read()
                self._check(response.status, body)
                return msgspec.json.decode(body)
        except aiohttp.ClientError as error:
            raise self._away(error) from error

    @contextlib.asynccontextmanager
    async def tail(self, params: dict[str, str]) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
        try:
            async with self._session.ws_connect(
                self.base + "/api/v1/tail", params=params, headers=self._headers, heartbeat=20.0
            ) as socket:
                yield socket
        except aiohttp.WSServerHandshakeError as error:
            self._check(error.status, b"{}")
            raise self._away(error) from error
        except aiohttp.ClientError as error:
            raise self._away(error) from error

    def _check(self, status: int, body: bytes) -> None:
        if status == 401:
            raise HubError(
                f"the hub at {self.base} refuses this token",
                hint="give --token or WEIR_TOKEN; the hub prints its URL with the token at its start",
            )
        if status >= 400:
            try:
                told = msgspec.json.decode(body)
                raise HubError(str(told.get("error", status)), hint=str(told.get("hint", "")))
            except (msgspec.DecodeError, AttributeError):
                raise HubError(f"the hub at {self.base} answered {status}") from None

    def _away(self, error: Exception) -> HubError:
        return HubError(f"no hub at {self.base}: {error}", hint="start one with `weir up`, or name it with --hub URL")


@contextlib.asynccontextmanager
async def connect(args: argparse.Namespace) -> AsyncIterator[Hub]:
    base, token = address(args)
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=None, connect=10)) as session:
        yield Hub(base, token, session)
