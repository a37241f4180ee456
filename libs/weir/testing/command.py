"""The `weir` command run as a user runs it: a process of its own, a home of its own, and no settings from around."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

DEADLINE_S = 60.0


class Result(msgspec.Struct, frozen=True):
    """What a user sees."""

    code: int
    out: str
    err: str

    def message(self) -> list[str]:
        """The error as it was told: its line and its hint."""
        lines = self.err.splitlines()
        starts = [n for n, line in enumerate(lines) if line.startswith("weir: ")]
        return lines[starts[-1] :] if starts else lines


class Running:
    """A command at work, its output in files."""

    def __init__(self, process: subprocess.Popen[bytes], out: Path, err: Path) -> None:
        self.process = process
        self._out = out
        self._err = err

    def out(self) -> str:
        return self._out.read_text(errors="replace")

    def err(self) -> str:
        return self._err.read_text(errors="replace")

    def until(self, done: Callable[[], bool], deadline_s: float = DEADLINE_S) -> None:
        """Wait for a condition; fails with what was said when the process ends before it, or when it takes too long."""
        end = time.monotonic() + deadline_s
        while not done():
            ended = self.process.poll() is not None
            if (ended and not done()) or time.monotonic() > end:
                raise AssertionError(f"in vain (exit code {self.process.poll()}):\n{self.out()[-2000:]}\n{self.err()}")
            time.sleep(0.02)

    def says(self, text: str, deadline_s: float = DEADLINE_S) -> None:
        """Wait until it says this on stderr."""
        self.until(lambda: text in self.err(), deadline_s)

    def interrupt(self) -> None:
        self.process.send_signal(signal.SIGINT)

    def end(self, deadline_s: float = 30.0) -> Result:
        """Wait for the end."""
        try:
            code = self.process.wait(deadline_s)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"hangs:\n{self.out()[-2000:]}\n{self.err()}") from None
        return Result(code, self.out(), self.err())


class Weir:
    """Runs `python -m weir.cli` in `folder`, which is also its HOME. `before` is put before the command line."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.env = {k: v for k, v in os.environ.items() if not k.startswith(("WEIR_", "XDG_"))} | {
            "HOME": str(folder), "COLUMNS": "100", "NO_COLOR": "",
        }
        self._count = 0

    def __call__(
        self, *argv: str, stdin: bytes = b"", env: Mapping[str, str] | None = None, before: Sequence[str] = (),
        module: str = "weir.cli",
    ) -> Result:
        """Run to the end."""
        done = subprocess.run(
            [*before, sys.executable, "-m", module, *argv], cwd=self.folder, env={**self.env, **(env or {})},
            input=stdin, capture_output=True, timeout=DEADLINE_S, check=False,
        )
        return Result(done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace"))

    @contextlib.contextmanager
    def start(
        self, *argv: str, env: Mapping[str, str] | None = None, before: Sequence[str] = (), module: str = "weir.cli",
        stdin: int = subprocess.DEVNULL,
    ) -> Iterator[Running]:
        """Run beside the test; killed at the end of the block if it still runs."""
        self._count += 1
        out, err = (self.folder / f"{self._count}.{name}" for name in ("out", "err"))
        with out.open("wb") as to_out, err.open("wb") as to_err:
            process = subprocess.Popen(
                [*before, sys.executable, "-m", module, *argv], cwd=self.folder, env={**self.env, **(env or {})},
                stdin=stdin, stdout=to_out, stderr=to_err,
            )
        try:
            yield Running(process, out, err)
        finally:
            if process.stdin is not None:
                with contextlib.suppress(OSError):
                    process.stdin.close()
            if process.poll() is None:
                process.kill()
            process.wait()
