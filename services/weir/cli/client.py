"""Talking to a hub over HTTP and WebSocket, and finding its address and token."""

from __future__ import annotations

import argparse
import contextlib
import ipaddress
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import aiohttp
import msgspec
from yarl import URL

from weir.cli.args import Parser
from weir.cli.conditions import FilterRefused
from weir.cli.render.text import safe
from weir.errors import HubError, SettingsError
from weir.runtime.process import data_dir
from weir.runtime.settings import RuntimeSettings

DEFAULT = "http://127.0.0.1:8899"
ANSWER = aiohttp.ClientTimeout(total=60)
NO_END = aiohttp.ClientTimeout(total=None, connect=10, sock_read=60)
UNKNOWN_PATH = "Not Found"
"""What a hub says where it has nothing at all: another base path was meant."""
TOKEN_FILE = "hub.token"


def add_hub(parser: Parser) -> None:
    group = parser.add_argument_group("which hub")
    group.add_argument(
        "--hub", default=os.environ.get("WEIR_HUB", ""), metavar="URL",
        help="where the hub is; the URL that `weir up` prints, token included, does (or WEIR_HUB) [the one that runs "
        f"at {DEFAULT}, else the installation in the cluster of the kubeconfig]",
    )
    group.add_argument("--token", help="the hub's token (or WEIR_TOKEN, WEIR_HUB_TOKEN; else it is looked up: this "
                       "user's own hub's file, or the installation's Secret)")
    group.add_argument(
        "--instance", default=os.environ.get("WEIR_INSTANCE", ""), metavar="NAME",
        help="which installation, if there are several: NAME or NAMESPACE/NAME (or WEIR_INSTANCE)",
    )
    group.add_argument("--context", default="", metavar="C", help="context of the kubeconfig; goes to the cluster")
    group.add_argument("--kubeconfig", default="", metavar="FILE", help="another kubeconfig; goes to the cluster")


def address(args: argparse.Namespace) -> tuple[str, str]:
    """Base URL without a slash at its end, and token."""
    hub = args.hub or DEFAULT
    try:
        parts = urlsplit(hub if "//" in hub else f"http://{hub}")
        named = bool(parts.hostname) and parts.port != 0
    except ValueError:
        named = False
    if not named or parts.scheme not in ("http", "https"):
        raise SettingsError(f"--hub {hub!r} is no address of a hub", hint=f"for example {DEFAULT}")
    token = args.token or next(iter(parse_qs(parts.query).get("token", [])), "") or token_around()
    if not token and _is_here(parts.hostname or ""):
        token = _own_token(args.instance.rpartition("/")[2] or "weir")
    return f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}", token


def token_around() -> str:
    """The token that the environment has, under the name for everybody or under the one of the hub's setting."""
    return os.environ.get("WEIR_TOKEN", "") or os.environ.get("WEIR_HUB_TOKEN", "")


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
    """One hub, with everything that can go wrong as a `HubError`, and what it finds wrong with a rule or a filter as a
    `SettingsError`."""

    def __init__(self, base: str, token: str, session: aiohttp.ClientSession) -> None:
        self.base = base
        self._session = session
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}

    async def get(self, path: str, params: dict[str, str] | None = None) -> Any:
        return await self._ask("GET", path, params=params)

    async def post(self, path: str, body: Any) -> Any:
        return await self._ask("POST", path, json=body)

    async def put(self, path: str, body: Any) -> Any:
        return await self._ask("PUT", path, json=body)

    async def delete(self, path: str) -> Any:
        return await self._ask("DELETE", path)

    async def _ask(self, method: str, path: str, **more: Any) -> Any:
        async with self._answered(method, path, **more) as response:
            body = await response.read()
        try:
            return msgspec.json.decode(body)
        except msgspec.DecodeError:
            raise self.stranger() from None

    @contextlib.asynccontextmanager
    async def download(self, path: str, params: dict[str, str]) -> AsyncIterator[aiohttp.ClientResponse]:
        """An answer that is read piece by piece, however long it takes."""
        async with self._answered("GET", path, params=params, timeout=NO_END) as response:
            yield response

    def cut_off(self) -> HubError:
        """An answer that ended before its end."""
        return HubError(f"the hub at {self.base} broke off", hint="what has come is not all; ask for less, or again")

    @contextlib.asynccontextmanager
    async def _answered(
        self, method: str, path: str, *, timeout: aiohttp.ClientTimeout = ANSWER, **more: Any
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """A good answer; every other one is an error."""
        try:
            async with self._session.request(
                method, URL(self.base + path, encoded=True), headers=self._headers, timeout=timeout, **more
            ) as response:
                if response.status >= 400:
                    self._check(response.status, await response.read(), (more.get("params") or {}).get("filter", ""))
                yield response
        except aiohttp.ClientPayloadError:
            raise self.cut_off() from None
        except (aiohttp.ClientError, TimeoutError) as error:
            raise self._away(error) from error

    @contextlib.asynccontextmanager
    async def tail(self, params: dict[str, str]) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
        try:
            async with self._session.ws_connect(
                self.base + "/api/v1/tail", params=params, headers=self._headers, heartbeat=20.0
            ) as socket:
                yield socket
        except aiohttp.WSServerHandshakeError as error:
            # The refusal's words are lost in a handshake; the same question without one is refused alike.
            await self._ask("GET", "/api/v1/tail", params=params)
            self._check(error.status, b"{}")
            raise self.stranger() from error
        except (aiohttp.ClientError, TimeoutError) as error:
            raise self._away(error) from error

    def _check(self, status: int, body: bytes, text: str = "") -> None:
        """Raise what an answer means; `text` is the filter that was asked with."""
        if status == 401:
            raise HubError(
                f"the hub at {self.base} refuses this token",
                hint="give --token or WEIR_TOKEN; the hub prints its URL with the token at its start",
            )
        if status >= 400:
            told = _told(body)
            error, hint = safe(str(told.get("error", ""))), safe(str(told.get("hint", "")))
            at, length = told.get("position"), told.get("length")
            if text and isinstance(at, int) and isinstance(length, int):
                raise FilterRefused(error, hint, text, at, length)
            if not error or error == UNKNOWN_PATH:
                hint = "is this the address of a hub, with its base path? name it with --hub URL"
            elif status in (400, 404, 409):
                raise SettingsError(error, hint=hint)
            raise HubError(f"the hub at {self.base} answered {status}{f': {error}' if error else ''}", hint=hint)

    def _away(self, error: Exception) -> HubError:
        if isinstance(error, aiohttp.ClientSSLError):
            return HubError(
                f"the hub at {self.base} has a certificate that is not trusted here: {_reason(error)}",
                hint="SSL_CERT_FILE=FILE names the certificate of who signed it",
            )
        why = safe(str(error)) or "no answer in time"
        if isinstance(error, aiohttp.ClientConnectorError):
            code = error.os_error.errno or 0
            why = os.strerror(code) if code > 0 else str(error.os_error)
        return HubError(f"no hub at {self.base}: {why}", hint="start one with `weir up`, or name it with --hub URL")

    def stranger(self) -> HubError:
        return HubError(f"what answers at {self.base} is no hub", hint="name the hub's address with --hub URL")


def _reason(error: aiohttp.ClientSSLError) -> str:
    cause = getattr(error, "certificate_error", None) or error.os_error
    return safe(getattr(cause, "verify_message", "") or getattr(cause, "reason", "") or str(cause))


def _told(body: bytes) -> dict[str, Any]:
    try:
        return msgspec.json.decode(body, type=dict[str, Any])
    except msgspec.DecodeError:
        return {}


@contextlib.asynccontextmanager
async def connect(args: argparse.Namespace) -> AsyncIterator[Hub]:
    """The hub that is meant: the one that is named, else the one that runs here, else that of a cluster."""
    async with contextlib.AsyncExitStack() as stack:
        if await _in_cluster(args):
            from weir.cli.kube.reach import reached  # half a second that a hub with an address need not cost

            found = await stack.enter_async_context(reached(
                args.kubeconfig, args.context, args.instance, args.token or token_around(), _say
            ))
            _say(f"using {found.installation} of {found.where}")
            base, token = found.base, found.token
        else:
            base, token = address(args)
        session = await stack.enter_async_context(
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=None, connect=10))
        )
        yield Hub(base, token, session)


async def _in_cluster(args: argparse.Namespace) -> bool:
    if args.hub:
        return False
    if args.context or args.kubeconfig:
        return True
    return _has_kubeconfig() and not await _answers(DEFAULT)


def _has_kubeconfig() -> bool:
    files = os.environ.get("KUBECONFIG") or str(Path.home() / ".kube" / "config")
    return any(Path(one).is_file() for one in files.split(os.pathsep) if one)


async def _answers(base: str) -> bool:
    """Whether a hub runs there."""
    with contextlib.suppress(aiohttp.ClientError, TimeoutError):
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=2)) as session,
            session.get(base + "/healthz") as response,
        ):
            return response.status == 200 and await response.content.read(16) == b"ok\n"
    return False


def _say(text: str) -> None:
    print(f"weir: {safe(text)}", file=sys.stderr)
