"""What the watched application pays: wrk against nginx, with weir beside it and without. Needs root, nginx and wrk.

nginx, wrk and with them the kernel's work for their packets have one core, weir the other one: what differs is what
watching costs the application in its own path (the filter, and the copies into the ring), not whether the machine has
CPU left for weir, which `selection` tells. At a rate that weir can keep pace with, so that every packet is copied; and
as fast as they can, where most of the copies are not made since the ring is full.
"""

from __future__ import annotations

import contextlib
import os
import re
import resource
import shutil
import signal
import statistics
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from measure import WEIR, Figure, Run, Skip

from weir.testing.netns import Namespace, joined, may_make_namespaces

STATES: dict[str, tuple[str, ...]] = {"without weir": (), "outline": ("",), "everything decoded": ("--target", "all")}
SECONDS, QUICK_SECONDS = 5, 2
PORT, PAGE, CONNECTIONS = 8080, 8899, 16
LOADS = {"steady": "function delay() return 5 end", "as fast as it can": ""}
"""Scripts of wrk: a pause of so many ms before each call of a connection."""
TOKEN = "a-token-for-benchmarks"
SIZE = 2000
START_S = 60.0
CONFIG = """
daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{ worker_connections 256; }}
http {{
    access_log off; keepalive_requests 1000000;
    client_body_temp_path {folder}/b; proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f;
    uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
    server {{ listen {port}; location / {{ return 200 "{text}"; }} }}
}}
"""


def watched(run: Run) -> Iterator[Figure]:
    """Calls a second and CPU of nginx and wrk for each call, in turns so that a busy spell meets all states."""
    if not may_make_namespaces() or not (shutil.which("nginx") and shutil.which("wrk")):
        raise Skip("needs root, iproute2, nginx and wrk")
    if (os.cpu_count() or 1) < 2:
        raise Skip("needs two cores")
    rounds: dict[tuple[str, str], list[tuple[float, float]]] = {}
    kept: dict[tuple[str, str], str] = {}
    with joined("client", "server") as (client, server), _nginx(server, run.folder) as nginx:
        for turn in range(run.times + 1):
            for state, options in STATES.items():
                with _weir(server, run.folder, options) if options else contextlib.nullcontext():
                    for load, script in LOADS.items():
                        before = _metrics(server) if options else {}
                        found = _wrk(client, server, nginx, run, script)
                        kept[load, state] = _kept(server, before) if options else ""
                        if turn:  # the first one warms up
                            rounds.setdefault((load, state), []).append(found)
    for (load, state), found in sorted(rounds.items(), key=lambda item: item[0][0] != "steady"):
        rate, cost = map(statistics.median, zip(*found, strict=True))
        alone = statistics.median(cost for _, cost in rounds[load, "without weir"])
        yield Figure(
            case="watched", what=f"{load}, {state}, CPU of nginx and wrk for a call", value=cost, unit="µs",
            ratio=cost / alone, anchor="without weir", note=f"{rate:,.0f} calls a second{kept[load, state]}",
        )  # fmt: skip


@contextlib.contextmanager
def _nginx(where: Namespace, folder: Path) -> Iterator[int]:
    """Pid of its worker."""
    config = folder / "nginx.conf"
    config.write_text(CONFIG.format(folder=folder, port=PORT, text="x" * SIZE))
    nginx = where.spawn("taskset", "-c", "0", "nginx", "-c", str(config), "-p", str(folder))
    children = Path(f"/proc/{nginx.pid}/task/{nginx.pid}/children")
    end = time.monotonic() + START_S
    while not (found := children.read_text().split()):
        if nginx.poll() is not None or time.monotonic() > end:
            raise RuntimeError(f"nginx does not start: {(folder / 'error.log').read_text()[-300:]}")
        time.sleep(0.05)
    yield int(found[0])


def _wrk(client: Namespace, server: Namespace, nginx: int, run: Run, script: str) -> tuple[float, float]:
    """Calls a second, and µs of CPU that nginx and wrk took for each."""
    lua = run.folder / "wrk.lua"
    lua.write_text(script)
    before = _ran_s(nginx), _children_s()
    told = client.run(
        "taskset", "-c", "0", "wrk", "-t", "1", "-c", str(CONNECTIONS), "-s", str(lua), "-d",
        f"{QUICK_SECONDS if run.quick else SECONDS}s", f"http://{server.address}:{PORT}/items/1?page=2",
    ).stdout  # fmt: skip
    cpu_s = _ran_s(nginx) - before[0] + _children_s() - before[1]
    found = re.search(r"(\d+) requests in ([0-9.]+)s", told)
    if found is None:
        raise RuntimeError(f"wrk: {told}")
    calls = int(found[1])
    return calls / float(found[2]), 1e6 * cpu_s / calls


def _ran_s(pid: int) -> float:
    """CPU seconds of a running process, finer than ticks of the clock."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9


def _children_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


@contextlib.contextmanager
def _weir(where: Namespace, folder: Path, options: tuple[str, ...]) -> Iterator[None]:
    argv = [
        *WEIR, "up", "--interface", where.interface, "--capture.ceiling-bytes-s", "0", "--hub.token", TOKEN,
        "--runtime.data-dir", str(folder / "watched"), *filter(None, options),
    ]  # fmt: skip
    log = folder / "watched.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            where.command("taskset", "-c", "1", *argv), stdout=out, stderr=out, stdin=subprocess.DEVNULL
        )
    try:
        _ready(where, process, log)
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(10)
        process.kill()
        process.wait()


def _ready(where: Namespace, process: subprocess.Popen[bytes], log: Path) -> None:
    """The page answers and the ring is open: it has given something."""
    end = time.monotonic() + START_S
    while True:
        with contextlib.suppress(urllib.error.URLError):
            if "capture_blocks" in _metrics(where):
                return
        if process.poll() is not None or time.monotonic() > end:
            raise RuntimeError(f"weir does not start: {log.read_text()[-500:]}")
        time.sleep(0.2)


def _kept(where: Namespace, before: dict[str, float]) -> str:
    """What the filter let through, and how much of that found the ring full."""
    time.sleep(1.5)  # until it has looked
    now = _metrics(where)
    names = ("capture_kernel_seen", "capture_kernel_passed", "capture_lost")
    seen, passed, lost = (now.get(name, 0) - before.get(name, 0) for name in names)
    return f"; {passed / seen:.1%} of the packets passed, {lost / max(passed, 1):.1%} of these found the ring full"


def _metrics(where: Namespace) -> dict[str, float]:
    asked = urllib.request.Request(f"http://127.0.0.1:{PAGE}/metrics", headers={"Authorization": f"Bearer {TOKEN}"})
    with where.entered(), urllib.request.urlopen(asked, timeout=30) as answer:
        text = answer.read().decode()
    found = {name: float(value) for name, value in re.findall(r'^weir_(\w+)_total\{reason=""\} (\S+)$', text, re.M)}
    lost = re.search(r'^weir_lost_total\{reason="capture.kernel"\} (\S+)$', text, re.M)
    return found | ({"capture_lost": float(lost[1])} if lost else {})
