"""weir on the cluster, as a user has it: installed by Helm, asked by the API of its hub and by the `weir` command."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO
from urllib.parse import urlencode

from weir.testing.cluster import network

CHART = "deploy/helm/weir"
INSTALL_S = 600
COMMAND_S = 120
WEIR = (sys.executable, "-m", "weir.cli")


class Installation:
    """A release of the chart; `folder` holds the output of commands that go on."""

    def __init__(self, release: str, namespace: str, folder: Path) -> None:
        self.release = release
        self.namespace = namespace
        self.folder = folder
        self.notes = ""
        self.began = 0.0
        """When it was installed, on the monotonic clock."""
        self.ready_s = 0.0
        """From there until all pods were ready."""
        self._base = ""
        self._token = ""

    def install(self, *values: str) -> None:
        self.began = time.monotonic()
        self.notes = run(
            "helm", "install", self.release, CHART, "-n", self.namespace, "--create-namespace", *values,
            "--wait", "--timeout", f"{INSTALL_S}s",
        )  # fmt: skip
        self.ready_s = time.monotonic() - self.began

    def uninstall(self) -> str:
        return run(
            "helm", "uninstall", self.release, "-n", self.namespace, "--ignore-not-found", "--wait",
            "--timeout", f"{COMMAND_S}s",
        )  # fmt: skip

    def pods(self, component: str = "") -> list[dict[str, Any]]:
        selector = f"app.kubernetes.io/instance={self.release}"
        if component:
            selector += f",app.kubernetes.io/component={component}"
        return list(self._get("pods", "-l", selector)["items"])

    def api(self, path: str, **query: object) -> Any:
        """JSON of the hub's API, by its node port. Raises OSError while it is away."""
        base, token = self._where()
        request = urllib.request.Request(
            f"{base}/api/v1/{path}?{urlencode(query)}", headers={"Authorization": f"Bearer {token}"}
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)

    def entries(self, **query: object) -> list[dict[str, Any]]:
        """Newest first."""
        return list(self.api("entries", **{"limit": 1000, **query})["entries"])

    def weir(self, *arguments: str) -> str:
        """Output of a `weir` command that finds the hub by the kubeconfig."""
        return run(*WEIR, *arguments, "--instance", f"{self.namespace}/{self.release}")

    @contextmanager
    def tap(self, *arguments: str) -> Iterator[Tap]:
        with Tap(self.folder, [*arguments, "--instance", f"{self.namespace}/{self.release}"]) as tap:
            yield tap

    def _where(self) -> tuple[str, str]:
        if not self._base:
            service = self._get("service", f"{self.release}-hub")
            self._base = f"http://{network.node_address(1)}:{service['spec']['ports'][0]['nodePort']}"
            self._token = base64.b64decode(self._get("secret", f"{self.release}-hub-token")["data"]["token"]).decode()
        return self._base, self._token

    def _get(self, *what: str) -> Any:
        return json.loads(run("kubectl", "get", *what, "-n", self.namespace, "-o", "json"))


class Tap:
    """`weir tap … -o json` in a terminal of its own."""

    def __init__(self, folder: Path, arguments: list[str]) -> None:
        self._command = [*WEIR, "tap", *arguments, "-o", "json"]
        self._files = folder / "tap.out", folder / "tap.err"
        self._open: list[TextIO] = []
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Tap:
        self._open = [file.open("w") for file in self._files]
        out, err = self._open
        self.process = subprocess.Popen(self._command, stdin=subprocess.DEVNULL, stdout=out, stderr=err)
        return self

    def __exit__(self, *_: object) -> None:
        assert self.process is not None
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        for file in self._open:
            file.close()

    def end(self, number: int) -> int:
        """Its exit code after that signal."""
        assert self.process is not None
        self.process.send_signal(number)
        return self.process.wait(30)

    def told(self) -> str:
        """What it said to the person in front of it."""
        return self._files[1].read_text()

    def entries(self) -> list[dict[str, Any]]:
        lines = self._files[0].read_text().split("\n")
        return [json.loads(line) for line in lines[:-1]]


def run(*command: str, timeout_s: float = INSTALL_S + 30) -> str:
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=timeout_s, check=False, stdin=subprocess.DEVNULL
    )
    assert done.returncode == 0, f"{command}:\n{done.stdout[-3000:]}{done.stderr[-3000:]}"
    return done.stdout
