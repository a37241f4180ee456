"""The stack of docker-compose.yml on the engine that `make e2e-compose` provides, and what asks it questions."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest

ROOT = Path(__file__).resolve().parents[3]
PROJECT = "weir-e2e"
TOKEN = "a-token-of-the-test-0123456789"
PORT = "18899"
T = TypeVar("T")


class Stack:
    def __init__(self) -> None:
        v2 = subprocess.run(["docker", "compose", "version"], capture_output=True, check=False).returncode == 0
        files = ["-f", "docker-compose.yml"]
        if os.environ.get("WEIR_ENGINE") == "private":
            # No image registry, so no ClickHouse image.
            files += ["-f", "deploy/compose/chdb.yml"]
        self._command = [*(["docker", "compose"] if v2 else ["docker-compose"]), *files, "-p", PROJECT]
        self._environment = os.environ | {"WEIR_TOKEN": TOKEN, "WEIR_PORT": PORT}
        self.url = f"http://127.0.0.1:{PORT}"

    def compose(self, *arguments: str, check: bool = True) -> str:
        done = subprocess.run(
            [*self._command, *arguments], cwd=ROOT, env=self._environment, text=True, check=False,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )
        assert not check or done.returncode == 0, f"compose {' '.join(arguments)}:\n{done.stdout[-6000:]}"
        return done.stdout

    def states(self) -> dict[str, tuple[str, str, int]]:
        """Service to (status, health, exit code) of its container."""
        names = self._docker("ps", "-aq", "--filter", f"label=com.docker.compose.project={PROJECT}").split()
        found = {}
        for container in json.loads(self._docker("inspect", *names)) if names else []:
            state = container["State"]
            service = container["Config"]["Labels"]["com.docker.compose.service"]
            found[service] = (state["Status"], state.get("Health", {}).get("Status", ""), state["ExitCode"])
        return found

    def run_in(self, service: str, code: str) -> str:
        """What a piece of Python prints in a container."""
        container = self._docker(
            "ps", "-q", "--filter", f"label=com.docker.compose.project={PROJECT}",
            "--filter", f"label=com.docker.compose.service={service}",
        ).strip()
        return self._docker("exec", container, "python", "-c", code)

    def get(self, path: str, *, token: str = TOKEN, **query: str) -> tuple[int, bytes]:
        url = f"{self.url}{path}" + (f"?{urllib.parse.urlencode(query)}" if query else "")
        request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"} if token else {})
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()

    def json(self, path: str, **query: str) -> Any:
        status, body = self.get(path, **query)
        assert status == 200, body
        return json.loads(body)

    def entries(self, **query: str) -> list[dict[str, Any]]:
        """Newest first."""
        return self.json("/api/v1/entries", **{"limit": "1000", **query})["entries"]  # type: ignore[no-any-return]

    def _docker(self, *arguments: str) -> str:
        done = subprocess.run(["docker", *arguments], text=True, check=False, capture_output=True)
        assert done.returncode == 0, f"docker {' '.join(arguments[:4])}: {done.stderr}"
        return done.stdout


def _wait_until(what: str, look: Callable[[], T], within_s: float) -> T:
    """The first answer of `look` that is true. A hub that does not answer yet is no answer."""
    until = time.monotonic() + within_s
    last: object = None
    while time.monotonic() < until:
        try:
            last = found = look()
            if found:
                return found
        except OSError as error:
            last = error
        time.sleep(0.25)
    raise AssertionError(f"{what}: not within {within_s:.0f} s, last seen: {last!r:.2000}")


@pytest.fixture(scope="session")
def wait_until() -> Callable[[str, Callable[[], T], float], T]:
    return _wait_until


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    if "WEIR_ENGINE" not in os.environ or shutil.which("docker") is None:
        pytest.skip("no Docker engine: start this by `make e2e-compose`")
    stack = Stack()
    stack.compose("down", "-v", check=False)
    stack.compose("build")
    try:
        stack.compose("up", "-d")
        yield stack
    finally:
        folder = os.environ.get("WEIR_E2E_LOGS")
        if folder:
            Path(folder, "compose.log").write_text(stack.compose("logs", "--no-color", check=False))
        stack.compose("down", "-v", check=False)
