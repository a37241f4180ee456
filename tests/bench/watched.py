"""What the watched application pays: wrk against nginx over a link that weir watches and over one beside it. Needs
root, nginx and wrk.

nginx, wrk and with them the kernel's work for their packets have one core, weir the other one: what differs is what
watching costs the application in its own path (the filter, and the copies into the ring), not whether the machine has
CPU left for weir, which `selection` tells. At a rate that weir can keep pace with, so that every packet is copied; and
as fast as they can, where most of the copies are not made since the ring is full.

Both links join the same two namespaces, and the same nginx answers on both, so a run on one is followed by its twin on
the other a second later: each ratio is of such a pair. Without weir the ratio is what chance makes of it.
"""

from __future__ import annotations

import contextlib
import math
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
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from measure import WEIR, Figure, Run, Skip, process_cpu_s

from weir.testing.netns import Namespace, joined, may_make_namespaces

STATES: dict[str, tuple[str, ...]] = {"without weir": (), "outline": ("",), "everything decoded": ("--target", "all")}
PAIRS, QUICK_PAIRS = 9, 3
PORT, PAGE, CONNECTIONS = 8080, 8899, 16
LOADS = {"steady": ("function delay() return 5 end", 2), "as fast as it can": ("", 1)}
"""Scripts of wrk (a pause of so many ms before each call of a connection), and seconds of each run."""
ASIDE = "10.78.0.1", "10.78.0.2"
"""Of the link that nobody watches: its ends at client and server."""
SURE = 0.95
IDLE, IDLE_S, LOOK_S = 0.1, 10.0, 0.25
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


class Ran(NamedTuple):
    rate: float
    """Calls a second."""
    cost_us: float
    """CPU of nginx, wrk and the kernel's thread for packets that came too fast, for each call."""


class Pair(NamedTuple):
    watched: Ran
    aside: Ran

    @property
    def ratio(self) -> float:
        return self.watched.cost_us / self.aside.cost_us


def watched(run: Run) -> Iterator[Figure]:
    """Calls a second and CPU of nginx and wrk for each call, on the watched link against the other one."""
    if not may_make_namespaces() or not (shutil.which("nginx") and shutil.which("wrk")):
        raise Skip("needs root, iproute2, nginx and wrk")
    if (os.cpu_count() or 1) < 2:
        raise Skip("needs two cores")
    with joined("client", "server") as (client, server), _nginx(server, run.folder) as nginx:
        _link_aside(client, server)
        rig = Rig(client, server, (nginx, _softirq_thread()), run.folder / "wrk.lua")
        for state, options in STATES.items():
            with _weir(server, run.folder, options) if options else contextlib.nullcontext() as weir:
                for load, (script, seconds) in LOADS.items():
                    before = _metrics(server) if options else {}
                    rig.pair(script, seconds, weir, watched_first=True)  # warms up
                    count = QUICK_PAIRS if run.quick else PAIRS
                    pairs = [rig.pair(script, seconds, weir, watched_first=n % 2 == 0) for n in range(count)]
                    yield _told(state, load, pairs, _kept(server, before) if options else "")


def _told(state: str, load: str, pairs: list[Pair], kept: str) -> Figure:
    ratios = [pair.ratio for pair in pairs]
    low, high = median_between(ratios)
    return Figure(
        case="watched", what=f"{load}, {state}, CPU of nginx and wrk for a call", unit="µs",
        value=statistics.median(pair.watched.cost_us for pair in pairs), ratio=statistics.median(ratios),
        anchor="the link beside it", note=f"{low:.3f} to {high:.3f} x ({SURE:.0%} sure, {len(pairs)} pairs); "
        f"{statistics.median(pair.watched.rate for pair in pairs):,.0f} calls a second, there "
        f"{statistics.median(pair.aside.rate for pair in pairs):,.0f}{kept}",
    )  # fmt: skip


def median_between(values: Sequence[float]) -> tuple[float, float]:
    """Where the median of all that could have been measured lies, `SURE` (for few values, as sure as they allow):
    between two of the values in order, whatever their distribution."""
    ordered, count = sorted(values), len(values)
    outside, below = 0.0, 0
    while (outside := outside + 2 * math.comb(count, below) / 2**count) <= 1 - SURE:
        below += 1
    at = max(below - 1, 0)
    return ordered[at], ordered[count - 1 - at]


def _link_aside(client: Namespace, server: Namespace) -> None:
    ends = (client, "aside0", ASIDE[0]), (server, "aside1", ASIDE[1])
    client.run("ip", "link", "add", "aside0", "type", "veth", "peer", "name", "aside1", "netns", server.name)
    for where, interface, address in ends:
        where.run("ip", "addr", "add", f"{address}/24", "dev", interface)
        where.run("ip", "link", "set", interface, "up")


def _softirq_thread() -> int:
    """Pid of the thread of the application's core in which the kernel works on packets that come too fast."""
    return next(int(p.parent.name) for p in Path("/proc").glob("[0-9]*/comm") if p.read_text() == "ksoftirqd/0\n")


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


class Rig:
    """wrk on one side, nginx on the other, joined by both links."""

    def __init__(self, client: Namespace, server: Namespace, threads: Sequence[int], script: Path) -> None:
        self._client = client
        self._links = server.address, ASIDE[1]
        self._threads = threads
        """nginx's worker and the kernel's thread, beside wrk."""
        self._script = script

    def pair(self, script: str, seconds: int, weir: int | None, *, watched_first: bool) -> Pair:
        """A run on each link, each begun when weir is done with what came before."""
        self._script.write_text(script)
        ran: dict[str, Ran] = {}
        for address in self._links if watched_first else self._links[::-1]:
            if weir is not None:
                _at_rest(weir)
            ran[address] = self._wrk(address, seconds)
        return Pair(*(ran[address] for address in self._links))

    def _wrk(self, address: str, seconds: int) -> Ran:
        before = [_ran_s(pid) for pid in self._threads], _children_s()
        told = self._client.run(
            "taskset", "-c", "0", "wrk", "-t", "1", "-c", str(CONNECTIONS), "-s", str(self._script), "-d",
            f"{seconds}s", f"http://{address}:{PORT}/items/1?page=2",
        ).stdout  # fmt: skip
        cpu_s = sum(_ran_s(pid) for pid in self._threads) - sum(before[0]) + _children_s() - before[1]
        found = re.search(r"(\d+) requests in ([0-9.]+)s", told)
        if found is None:
            raise RuntimeError(f"wrk: {told}")
        calls = int(found[1])
        return Ran(calls / float(found[2]), 1e6 * cpu_s / calls)


def _at_rest(pid: int) -> None:
    """Wait until a process has nothing to do any more, but not for ever."""
    end = time.monotonic() + IDLE_S
    spent, share = process_cpu_s(pid), 1.0
    while share > IDLE and time.monotonic() < end:
        time.sleep(LOOK_S)
        before, spent = spent, process_cpu_s(pid)
        share = (spent - before) / LOOK_S


def _ran_s(pid: int) -> float:
    """CPU seconds of a running process, finer than ticks of the clock."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9


def _children_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


@contextlib.contextmanager
def _weir(where: Namespace, folder: Path, options: tuple[str, ...]) -> Iterator[int]:
    """Pid of weir, which watches one of the links."""
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
        yield process.pid
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
