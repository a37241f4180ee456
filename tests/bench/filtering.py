"""What the eBPF filter costs for each packet, by the number of targets. Needs the right to load it."""

from __future__ import annotations

import ipaddress
import statistics
import time
from collections.abc import Iterator

from measure import Figure, Run, Skip

from weir.capture.bpf import syscall
from weir.capture.bpf.selection import Selection
from weir.capture.bpf.socketfilter import KernelFilter
from weir.directory.vantage import node_number
from weir.model.control import Control, EndpointRecord
from weir.testing.packets import ipv4, tcp

COUNTS = (0, 100, 10_000)
BUDGET_NS = 250
FLAT = 1.25
REPEAT, ROUNDS = 100_000, 9
NEW_FLOWS = 2000


def kernel(run: Run) -> Iterator[Figure]:
    """BPF_PROG_TEST_RUN: the program alone, on a packet that is in the cache; live it costs a little more."""
    known: dict[int, float] = {}
    for count in COUNTS:
        selection = Selection()
        selection.adopt(Control(generation=1, pods=True, pod_ranges=["10.0.0.0/8"]))
        selection.learn(_records(count))
        try:
            program = KernelFilter(node=node_number("n1"), snaplen=262_144)
        except OSError as error:
            raise Skip(f"the kernel loads no filter here: {error}") from error
        try:
            before = time.perf_counter()
            program.apply(selection.changes())
            applied = time.perf_counter() - before
            known[count] = _known(program)
            first = _first(program)
        finally:
            program.close()
        yield Figure(
            case="kernel", what=f"filter, known flow, {count:,} targets", value=known[count], unit="ns/packet",
            budget=f"<= {BUDGET_NS} ns", holds=known[count] <= BUDGET_NS,
            note=f"first packet of a flow {first:.0f} ns; all put into the maps in {applied * 1000:.1f} ms",
        )
    ratio = known[COUNTS[-1]] / known[COUNTS[0]]
    yield Figure(
        case="kernel", what=f"{COUNTS[-1]:,} targets against none", value=ratio, unit="x", budget=f"<= {FLAT}",
        holds=ratio <= FLAT, note="the verdict on a flow is kept with its totals until targets change",
    )


def _records(count: int) -> list[tuple[bytes, EndpointRecord]]:
    first = int(ipaddress.ip_address("10.0.0.1"))
    addresses = [str(ipaddress.ip_address(first + n)) for n in range(count)]
    return [
        (address.encode(), EndpointRecord(address=address, uid=address, targeted=True, captured=True, node="n1"))
        for address in addresses
    ]


def _known(program: KernelFilter) -> float:
    frame = _frame(tcp(5000, 80, bytes(512)))
    syscall.run_program(program.descriptor, frame)
    rounds = [syscall.run_program(program.descriptor, frame, repeat=REPEAT)[1] for _ in range(ROUNDS)]
    return float(statistics.median(rounds))


def _first(program: KernelFilter) -> float:
    """Of flows that the program has not seen yet; one run each, so with what a single measurement costs."""
    ports = range(10_000, 10_000 + NEW_FLOWS)
    rounds = [syscall.run_program(program.descriptor, _frame(tcp(port, 80, bytes(512))))[1] for port in ports]
    return float(statistics.median(rounds))


def _frame(segment: bytes) -> bytes:
    return bytes(12) + b"\x08\x00" + ipv4("10.0.0.7", "10.0.0.8", 6, segment)
