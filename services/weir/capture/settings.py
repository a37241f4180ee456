"""Settings of `capture`."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec


class CaptureSettings(msgspec.Struct, frozen=True, kw_only=True):
    source: Annotated[
        str,
        msgspec.Meta(description="What packets are read with: auto (files if there are any), pcap, af_packet"),
    ] = "auto"
    files: Annotated[
        tuple[str, ...],
        msgspec.Meta(description="Capture files to read one after the other; - is the standard input"),
    ] = ()
    interfaces: Annotated[
        tuple[str, ...], msgspec.Meta(description="Interfaces to capture on; `any` is all of them in one ring")
    ] = ("any",)
    node: Annotated[
        str, msgspec.Meta(description="Name of the node in entries; empty: this host's, or the name of the file")
    ] = ""
    rings: Annotated[
        int,
        msgspec.Meta(description="Rings over which conversations are spread, for each interface or file", ge=1, le=64),
    ] = 1
    ring: Annotated[
        int,
        msgspec.Meta(
            description="Of a file give only this ring, so that several processes share it; -1: all of them",
            ge=-1, le=63,
        ),
    ] = -1
    filter: Annotated[
        Literal["auto", "ebpf", "classic"],
        msgspec.Meta(
            description="What filters in the kernel: ebpf (targets exactly, totals of all else), classic BPF (static "
            "targets roughly), or auto: ebpf where the kernel allows it to this process"
        ),
    ] = "auto"
    flow_entries: Annotated[
        int,
        msgspec.Meta(
            description="Directed flows that the eBPF filter keeps totals of; beyond, the oldest are forgotten",
            ge=1024, le=1 << 22,
        ),
    ] = 131_072
    tally_s: Annotated[
        float, msgspec.Meta(description="How often totals of outlined flows are published (eBPF only)", gt=0, le=60)
    ] = 2.0
    ceiling_bytes_s: Annotated[
        int,
        msgspec.Meta(
            description="Bytes a second that this node hands on at most; above, whole conversations are left out and "
            "counted (eBPF only); 0 for no limit",
            ge=0,
        ),
    ] = 20_000_000
    exclude: Annotated[
        tuple[str, ...],
        msgspec.Meta(
            description="What is never captured live, as HOST:PORT, port:N or an address. weir adds its own ends "
            "(bus, archive, hub)"
        ),
    ] = ()
    snaplen: Annotated[
        int, msgspec.Meta(description="Bytes kept of each packet that is captured live", ge=64, le=262_144)
    ] = 262_144
    block_bytes: Annotated[
        int,
        msgspec.Meta(
            description="Size of a block of the kernel's ring, a power of two: one record on the bus",
            ge=1 << 17, le=1 << 20,
        ),
    ] = 1 << 19
    ring_blocks: Annotated[
        int,
        msgspec.Meta(description="Blocks of each kernel ring: the slack while this process cannot run", ge=2, le=4096),
    ] = 128
    retire_ms: Annotated[
        int,
        msgspec.Meta(
            description="Age at which the kernel hands over a block that is not full: how live entries are, against "
            "what each block costs every stage",
            ge=1, le=1000,
        ),
    ] = 100
    tick_s: Annotated[
        float, msgspec.Meta(description="How often a live ring tells its clock when it has no packets", gt=0, le=60)
    ] = 1.0
