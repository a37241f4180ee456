"""One Kafka node as a child process: format, start, kill, stop; it dies with whoever started it."""

from __future__ import annotations

import base64
import ctypes
import os
import signal
import socket
import struct
import subprocess
import time
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path

from weir.testing.kafka.jars import HERE, ensure_libs, home, locked

# One JIT compiler and the serial collector: the node starts in half the CPU time, and tests do not run long enough to
# earn back the other one's work.
JVM = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
_PR_SET_PDEATHSIG = 1
_METADATA_V1 = struct.pack(">hhih", 3, 1, 7, 1) + b"p" + struct.pack(">i", -1)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class RealKafka:
    """A node on 127.0.0.1. `listeners` maps further listener names (ssl, sasl, saslssl) to their Kafka protocol."""

    def __init__(
        self,
        folder: Path,
        *,
        port: int | None = None,
        listeners: Mapping[str, str] | None = None,
        extra: str = "",
        heap: str = "384m",
    ) -> None:
        self.folder = folder.resolve()
        self.folder.mkdir(parents=True, exist_ok=True)
        self.port = port or free_port()
        self.bootstrap = f"127.0.0.1:{self.port}"
        self.ports = {name: free_port() for name in listeners or {}}
        self.process: subprocess.Popen[bytes] | None = None
        self._heap = heap
        self._libs = ensure_libs()
        self._properties = self.folder / "server.properties"
        self._properties.write_text(self._render(listeners or {}) + extra)

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def format(self, users: Mapping[str, str] | None = None) -> None:
        """Prepare an empty data folder; `users` (name to password) may log in by SCRAM-SHA-512."""
        # A letter first: the tool takes what begins with `-` for an option.
        cluster = "w" + base64.urlsafe_b64encode(uuid.uuid4().bytes).rstrip(b"=").decode()[1:]
        scram: list[str] = []
        for name, password in (users or {}).items():
            scram += ["--add-scram", f"SCRAM-SHA-512=[name={name},password={password}]"]
        command = [
            *self._java("tools.log", "-Xmx128m"), "kafka.tools.StorageTool", "format", "--standalone",
            *scram, "-t", cluster, "-c", str(self._properties),
        ]
        result = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        if result.returncode:
            raise RuntimeError(result.stdout + result.stderr)

    def start(self, timeout_s: float = 90) -> None:
        """Start and wait until it answers. From the main thread only: the node dies with the thread that started it."""
        self.spawn()
        self.wait_ready(timeout_s)

    def wait_ready(self, timeout_s: float = 90) -> None:
        end = time.monotonic() + timeout_s
        while not self._answers():
            if self.process is None or self.process.poll() is not None:
                raise RuntimeError("kafka ended: " + self._tail("stdout.log"))
            if time.monotonic() > end:
                raise TimeoutError("kafka does not answer: " + self._tail("server.log"))
            time.sleep(0.05)

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def stop(self, timeout_s: float = 20) -> None:
        if self.process is None or self.process.poll() is not None:
            return
        self.process.terminate()
        try:
            self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.kill()

    def tool(self, main: str, *arguments: str) -> str:
        """Run one of Kafka's command line tools, e.g. org.apache.kafka.tools.TopicCommand."""
        command = [*self._java("tools.log", "-Xmx128m"), main, *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout

    def spawn(self, *jvm: str) -> None:
        """Start without waiting, with further options of the JVM."""
        with open(self.folder / "stdout.log", "ab") as out:
            self.process = subprocess.Popen(
                [*self._java("server.log", "-Xms64m", f"-Xmx{self._heap}", *jvm), "kafka.Kafka", str(self._properties)],
                stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT,
                preexec_fn=_die_with_parent,  # noqa: PLW1509 (one libc call, loaded beforehand)
            )

    def _java(self, log: str, *jvm: str) -> Sequence[str]:
        archive = home() / "kafka.jsa"
        shared = [f"-XX:SharedArchiveFile={archive}", "-Xshare:auto"] if archive.exists() else []
        return [
            "java", *JVM, *shared, *jvm, f"-Dkafka.log={self.folder / log}",
            f"-Dlog4j2.configurationFile={HERE / 'log4j2.xml'}", "-cp", f"{self._libs}/*",
        ]

    def _render(self, listeners: Mapping[str, str]) -> str:
        named = {"PLAINTEXT": self.port} | {name.upper(): self.ports[name] for name in listeners}
        protocols = {"PLAINTEXT": "PLAINTEXT"} | {name.upper(): protocol for name, protocol in listeners.items()}
        values = {
            "LISTENERS": ",".join(f"{name}://127.0.0.1:{port}" for name, port in named.items()),
            "PROTOCOLS": ",".join(f"{name}:{protocol}" for name, protocol in protocols.items()),
            "CONTROLLER_PORT": str(free_port()),
            "DATA": str(self.data),
        }
        text = (HERE / "server.properties").read_text()
        for name, value in values.items():
            text = text.replace(f"@{name}@", value)
        return text

    def _answers(self) -> bool:
        """Whether it names a broker: connecting alone succeeds long before it can serve."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), 1) as connection:
                connection.settimeout(2)
                connection.sendall(struct.pack(">i", len(_METADATA_V1)) + _METADATA_V1)
                size = struct.unpack(">i", connection.recv(4, socket.MSG_WAITALL))[0]
                answer = connection.recv(size, socket.MSG_WAITALL)
                return int(struct.unpack(">i", answer[4:8])[0]) >= 1
        except (OSError, struct.error):
            return False

    def _tail(self, name: str) -> str:
        file = self.folder / name
        return file.read_text(errors="replace")[-2000:] if file.exists() else f"no {name}"


def ensure_archive(folder: Path) -> None:
    """Make the class archive, which halves every later start; takes one start and one slow stop."""
    if (home() / "kafka.jsa").exists():
        return
    node = RealKafka(folder)
    with locked() as cache:
        if (cache / "kafka.jsa").exists():
            return
        fresh = cache / f"kafka.jsa.{os.getpid()}"
        node.format()
        node.spawn(f"-XX:ArchiveClassesAtExit={fresh}")
        node.wait_ready()
        node.stop(60)
        if fresh.exists():
            fresh.rename(cache / "kafka.jsa")


_LIBC = ctypes.CDLL(None)


def _die_with_parent() -> None:
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
