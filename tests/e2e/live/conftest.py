"""`weir up` in a network namespace, watching one end of a veth, and asked over its API from within."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from weir.testing.netns import Namespace, joined
from weir.testing.servers import until

TOKEN = "0123456789abcdef0123456789abcdef"
LISTEN = "127.0.0.1:8899"
Entries = list[dict[str, Any]]


class Weir:
    """One `weir up`."""

    def __init__(self, where: Namespace, folder: Path, *arguments: str) -> None:
        self.where = where
        self._log = folder / "weir.log"
        self._env = {k: v for k, v in os.environ.items() if not k.startswith("WEIR_")} | {
            "WEIR_TOKEN": TOKEN, "WEIR_RUNTIME_HEARTBEAT_S": "0.2",
        }
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                where.command(*weir("up", "--interface", where.interface, "--listen", LISTEN, "--data", str(folder)),
                              *arguments),
                env=self._env, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip

    def get(self, path: str, **params: str) -> Any:
        url = f"http://{LISTEN}/api/v1/{path}?{urllib.parse.urlencode(params)}"
        request = urllib.request.Request(url, headers={"Authorization": f"Bearer {TOKEN}"})
        with self.where.entered(), urllib.request.urlopen(request, timeout=10) as response:
            return json.loads(response.read())

    def entries(self, **params: str) -> Entries:
        """All entries, the newest first."""
        found: Entries = []
        page: dict[str, Any] = {"next": ""}
        while page["next"] is not None:
            page = self.get("entries", limit="500", **({"cursor": page["next"]} if page["next"] else {}), **params)
            found += page["entries"]
        return found

    def wait_for(self, enough: Callable[[Entries], bool], **params: str) -> Entries:
        """The entries, once there are enough."""
        found: Entries = []

        def look() -> bool:
            found[:] = self.entries(**params)
            return enough(found)

        try:
            until(look, "", 20)
        except AssertionError:
            summaries = [entry["summary"] for entry in found]
            raise AssertionError(f"{len(found)} entries, such as {summaries[:10]}; {self.output()}") from None
        return found

    def works(self) -> bool:
        """Whether it captures and answers."""
        assert self._process.poll() is None, self.output()
        try:
            return any("capture.source" in process["mode"] for process in self.get("health")["processes"])
        except (urllib.error.URLError, ConnectionError):
            return False

    def interrupt(self) -> int:
        """^C, and the exit code."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
        try:
            return self._process.wait(15)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            raise AssertionError(f"weir does not end: {self.output()}") from None

    def output(self) -> str:
        return self._log.read_text(errors="replace")

    def tap(self, *arguments: str) -> subprocess.Popen[str]:
        command = self.where.command(*weir("tap", "--hub", f"http://{LISTEN}", *arguments))
        return subprocess.Popen(
            command, env=self._env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )


def weir(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "weir.cli", *arguments]


@contextlib.contextmanager
def _running(where: Namespace, folder: Path, *arguments: str) -> Iterator[Weir]:
    watching = Weir(where, folder, *arguments)
    try:
        until(watching.works, "weir does not capture", 20)
        yield watching
    finally:
        watching.interrupt()


@pytest.fixture(scope="module")
def pair() -> Iterator[tuple[Namespace, Namespace]]:
    """Client and server."""
    with joined("client", "server") as ends:
        yield ends


@pytest.fixture(scope="session")
def watch() -> Callable[..., contextlib.AbstractContextManager[Weir]]:
    """`with watch(namespace, folder, *arguments) as weir`."""
    return _running
