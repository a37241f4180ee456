"""Raw requests to one Kubernetes API server: JSON in and out, streams as bytes, credentials kept fresh.

kubernetes-asyncio gives the address, credentials and TLS (`credentials`) and the session. Everything has a deadline.
Nothing is retried here but a request refused with 401, once and with credentials read anew: how long to wait is known
to who asks (`ApiError.retry_after`, `Backoff`).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any, Protocol, Self

import aiohttp

from weir.errors import ClusterError
from weir.targets.kube.credentials import Credentials, choose
from weir.targets.kube.faults import ApiError, parse_retry_after, refusal
from weir.targets.kube.wire import read_status

if TYPE_CHECKING:
    from kubernetes_asyncio.client.rest import RESTClientObject

REQUEST_S = 60.0
"""Seconds for a whole request that is no stream; a page of 500 pods takes one on a busy server."""
OPEN_S = 30.0
"""Seconds until a stream's head is there."""
CONNECT_S = 5.0
CHUNK = 256 * 1024
BODY_LIMIT = 256 << 20
"""Bytes of one answer. A page of 500 objects has at most 500 times etcd's 1.5 MiB; usual is 1 MB."""

Query = Mapping[str, str]


class Stream(Protocol):
    async def read(self) -> bytes:
        """What has come, at least one byte; empty at the end.

        :raises ApiError: the connection broke.
        """
        ...


class _Response:
    def __init__(self, response: aiohttp.ClientResponse, what: str) -> None:
        self._response = response
        self._what = what

    async def read(self) -> bytes:
        try:
            return await self._response.content.readany()
        except (aiohttp.ClientError, OSError) as error:
            raise _unreached(self._what, error) from None


class KubeClient:
    """Made by `open`; use as an async context manager, or close it."""

    def __init__(self, credentials: Credentials, instance: str = "weir", *, part: str = "targets") -> None:
        self.user_agent = f"weir-{part}/{_version()} ({instance})"
        """How the audit log of the API server knows us."""
        self.where = ""
        """For people: which context, or which account."""
        self.namespace = ""
        """Of the context or the pod."""
        self._credentials = credentials
        self._lock = asyncio.Lock()
        self._rest: RESTClientObject | None = None
        self._configuration: Any = None
        self._generation = 0

    @classmethod
    async def open(
        cls, kubeconfig: str = "", context: str = "", instance: str = "weir", *, part: str = "targets"
    ) -> Self:
        """Nothing is asked of the server yet.

        :raises ClusterError: there are no credentials, with a hint.
        """
        return await cls(choose(kubeconfig, context), instance, part=part).start()

    async def start(self) -> Self:
        await self._load()
        return self

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()

    async def close(self) -> None:
        if self._rest is not None:
            rest, self._rest = self._rest, None
            await rest.close()

    @property
    def server(self) -> str:
        """Its address, `https://10.96.0.1:443`."""
        return str(self._configuration.host)

    async def get(self, path: str, query: Query | None = None) -> bytes:
        return await self.request("GET", path, query)

    async def request(
        self,
        method: str,
        path: str,
        query: Query | None = None,
        body: bytes | None = None,
        content_type: str = "application/json",
    ) -> bytes:
        """The answer's body.

        :raises ApiError: it was refused, not reached, or took too long.
        """
        timeout = aiohttp.ClientTimeout(total=REQUEST_S, sock_connect=CONNECT_S)
        headers = {"Content-Type": content_type} if body is not None else {}
        async with self._ask(method, path, query, timeout, data=body, headers=headers) as response:
            try:
                data = bytearray()
                while chunk := await response.content.readany():
                    data += chunk
                    if len(data) > BODY_LIMIT:
                        raise ApiError(f"{method} {path}: the answer is larger than {BODY_LIMIT} bytes")
            except (aiohttp.ClientError, OSError, TimeoutError) as error:
                raise _unreached(f"{method} {path}", error) from None
            return bytes(data)

    @asynccontextmanager
    async def stream(self, path: str, query: Query | None = None) -> AsyncIterator[Stream]:
        """Read a watch. The caller bounds how long it is quiet.

        :raises ApiError: it was refused, not reached, or took too long to begin.
        """
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_S)
        async with self._ask("GET", path, query, timeout, head_s=OPEN_S) as response:
            yield _Response(response, f"GET {path}")

    @asynccontextmanager
    async def websocket(self, path: str, protocols: Sequence[str]) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
        """Open a WebSocket, e.g. of a pod's `portforward`.

        :raises ApiError: it was refused, not reached, or took too long to begin.
        """
        configuration, rest = self._configuration, self._rest
        if rest is None:
            raise ApiError("the client is closed")
        try:
            async with asyncio.timeout(OPEN_S):
                socket = await rest.pool_manager.ws_connect(
                    configuration.host + path,
                    protocols=protocols,
                    headers=await self._own_headers(),
                    proxy=rest.proxy,
                    max_msg_size=0,
                    autoping=True,
                )
        except aiohttp.WSServerHandshakeError as error:
            raise refusal(read_status(b""), error.status, f"WebSocket {path}") from None
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise _unreached(f"WebSocket {path}", error) from None
        async with socket:
            yield socket

    @asynccontextmanager
    async def _ask(
        self,
        method: str,
        path: str,
        query: Query | None,
        timeout: aiohttp.ClientTimeout,
        *,
        head_s: float | None = None,
        data: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        what = f"{method} {path}"
        for last in (False, True):
            generation = self._generation
            try:
                async with asyncio.timeout(head_s):
                    response = await self._send(method, path, query, timeout, data, headers or {})
            except (aiohttp.ClientError, OSError, TimeoutError) as error:
                raise _unreached(what, error) from None
            async with response:
                if response.status < 300:
                    yield response
                    return
                refused = await _refused(response, what)
            if response.status != 401 or last:
                raise refused
            await self._reload(generation)

    async def _send(
        self,
        method: str,
        path: str,
        query: Query | None,
        timeout: aiohttp.ClientTimeout,
        data: bytes | None,
        headers: Mapping[str, str],
    ) -> aiohttp.ClientResponse:
        configuration, rest = self._configuration, self._rest
        if rest is None:
            raise ApiError("the client is closed")
        own = await self._own_headers()
        return await rest.pool_manager.request(
            method,
            configuration.host + path,
            params=query,
            data=data,
            headers={"Accept": "application/json", **own, **headers},
            timeout=timeout,
            proxy=rest.proxy,
            server_hostname=rest.server_hostname,
            allow_redirects=False,
        )

    async def _own_headers(self) -> dict[str, str]:
        """Who asks."""
        try:
            auth = await self._configuration.auth_settings()
        except Exception as error:  # the token file is being renewed, is empty or is gone: the library raises its own
            raise ApiError(f"the token of {self.where} cannot be read: {error}", status=401) from None
        token = auth["BearerToken"]["value"].strip() if "BearerToken" in auth else ""
        return {"User-Agent": self.user_agent, **({"Authorization": token} if token else {})}

    async def _reload(self, refused: int) -> None:
        """Read the credentials anew, unless somebody did since the request that was refused."""
        async with self._lock:
            if self._generation == refused:
                try:
                    await self._load()
                except ClusterError as error:
                    raise ApiError(error.message, status=401, hint=error.hint) from None

    async def _load(self) -> None:
        from kubernetes_asyncio.client.rest import RESTClientObject

        loaded = await self._credentials.load()
        configuration = loaded.configuration
        # Python 3.13 refuses the certificates of many clusters' own authorities for want of a key usage.
        configuration.disable_strict_ssl_verification = True
        self.where, self.namespace = loaded.where, loaded.namespace
        old, self._configuration = self._configuration, configuration
        self._generation += 1
        if old is not None and self._rest is not None and _same_tls(old, configuration):
            return
        try:
            rest = RESTClientObject(configuration)
        except (OSError, ValueError) as error:
            raise ClusterError(
                f"the certificates of {loaded.where} cannot be used: {error}", hint="look at its CA and client files"
            ) from None
        # Streams of the old session break, and are resumed with the new certificates.
        await self.close()
        self._rest = rest


def _same_tls(old: Any, new: Any) -> bool:
    """Files of client certificates are renewed in place, so only their absence is equality."""
    fields = ("host", "ssl_ca_cert", "verify_ssl", "tls_server_name", "proxy")
    return not new.cert_file and not old.cert_file and all(getattr(old, f) == getattr(new, f) for f in fields)


async def _refused(response: aiohttp.ClientResponse, what: str) -> ApiError:
    try:
        async with asyncio.timeout(CONNECT_S):
            body = await response.content.read(CHUNK)
    except (aiohttp.ClientError, OSError, TimeoutError):
        body = b""
    retry_after = parse_retry_after(response.headers.get("Retry-After", ""))
    return refusal(read_status(body), response.status, what, retry_after=retry_after)


def _unreached(what: str, error: BaseException) -> ApiError:
    why = "took too long" if isinstance(error, TimeoutError) else str(error) or type(error).__name__
    return ApiError(
        f"{what}: the Kubernetes API cannot be reached: {why}",
        hint="is the API server up, and does the network (a NetworkPolicy?) let this process there?",
    )


def _version() -> str:
    try:
        return version("weir")
    except PackageNotFoundError:
        return "0"
