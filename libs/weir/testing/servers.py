"""Real servers in network namespaces, for tests and for the script that records captures: nginx, nghttpd, asyncio."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any, TypeVar

from weir.cli.demo.dns import Responder
from weir.testing.netns import Namespace

DEADLINE_S = 10.0
Result = TypeVar("Result")
_STEP_S = 0.01

NGINX = """
daemon off; master_process off; worker_processes 1; user root;
pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{ worker_connections 1024; }}
http {{
  access_log {folder}/access.log;
  client_body_temp_path {folder}/t1; proxy_temp_path {folder}/t2; fastcgi_temp_path {folder}/t3;
  uwsgi_temp_path {folder}/t4; scgi_temp_path {folder}/t5;
  default_type text/plain; keepalive_requests 1000000;
  {http}
}}
"""
"""`http`: what stands in the block of that name."""


def missing(*tools: str) -> str:
    """The first of these programs that is not installed; empty if all are."""
    return next((tool for tool in tools if _path(tool) is None), "")


def nginx(where: Namespace, folder: Path, http: str, port: int) -> subprocess.Popen[bytes]:
    """nginx in a namespace, once it listens on `port`; its log of requests is `folder/access.log`."""
    config = folder / "nginx.conf"
    config.write_text(NGINX.format(folder=folder, http=http))
    process = where.spawn(_path("nginx") or "nginx", "-p", str(folder), "-c", str(config))
    listening(where, port)
    return process


def nghttpd(where: Namespace, root: Path, port: int, *options: str) -> subprocess.Popen[bytes]:
    """An HTTP/2 server for prior knowledge that gives the files of `root`."""
    process = where.spawn(_path("nghttpd") or "nghttpd", "--no-tls", "-d", str(root), *options, str(port))
    listening(where, port)
    return process


def certificate(folder: Path, *names: str) -> tuple[Path, Path]:
    """(key, certificate) on the curve P-256, signed by itself."""
    key, cert = folder / "key.pem", folder / "cert.pem"
    subprocess.run(
        [
            "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30",
            "-keyout", str(key), "-out", str(cert), "-subj", f"/CN={names[0]}",
            "-addext", "subjectAltName=" + ",".join(f"DNS:{name}" for name in names),
        ],
        check=True, capture_output=True, timeout=30,
    )  # fmt: skip
    return key, cert


def listening(where: Namespace, port: int, address: str = "") -> None:
    """Wait until something listens there; seen from the namespace itself, so that nothing crosses the veth."""
    def connects() -> bool:
        with where.entered(), socket.socket() as probe:
            return probe.connect_ex((address or where.address, port)) == 0

    until(connects, f"nothing listens on port {port}")


def until(condition: Callable[[], bool], otherwise: str, seconds: float = DEADLINE_S) -> None:
    """Wait for a condition; raises AssertionError with `otherwise` after `seconds`."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, otherwise
        time.sleep(_STEP_S)


@contextlib.contextmanager
def serving(where: Namespace, server: Callable[[], contextlib.AbstractAsyncContextManager[None]]) -> Iterator[None]:
    """An asyncio server in a thread of its own, all of whose sockets are made in the namespace."""
    ready, failed = threading.Event(), []
    stop: list[Callable[[], object]] = []

    async def main() -> None:
        ended = asyncio.Event()
        loop = asyncio.get_running_loop()
        stop.append(lambda: loop.call_soon_threadsafe(ended.set))
        async with server():
            ready.set()
            await ended.wait()

    def run() -> None:
        try:
            with where.entered():
                asyncio.run(main())
        except BaseException as error:
            failed.append(error)
            ready.set()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        assert ready.wait(DEADLINE_S), "the server does not start"
        if failed:
            raise failed[0]
        yield
    finally:
        if stop:
            stop[0]()
        thread.join(DEADLINE_S)
    if failed:
        raise failed[0]


@contextlib.asynccontextmanager
async def dns_server(address: str, port: int = 53) -> AsyncIterator[None]:
    """The demo's: knows every name of `demo.svc` that does not begin with `no`, as 192.0.2.7."""

    async def lookup(name: str) -> str | None:
        return None if name.startswith("no") else "192.0.2.7"

    responder = Responder(lookup)
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(lambda: responder, local_addr=(address, port))
    answering = asyncio.ensure_future(responder.serve())
    try:
        yield
    finally:
        answering.cancel()
        await asyncio.gather(answering, return_exceptions=True)
        transport.close()


def run_in(where: Namespace, work: Coroutine[Any, Any, Result]) -> Result:
    """Run a coroutine to its end in the namespace."""
    with where.entered():
        return asyncio.run(work)


def _path(tool: str) -> str | None:
    return shutil.which(tool) or shutil.which(tool, path="/usr/sbin:/sbin")
