"""`weir.packets`: blocks of captured packets as the source gave them."""

from __future__ import annotations

import struct
from typing import Literal

import msgspec

from weir.model.buffer import Buffer

LINKTYPE_NULL = 0
LINKTYPE_ETHERNET = 1
LINKTYPE_RAW = 101
LINKTYPE_LOOP = 108
LINKTYPE_LINUX_SLL = 113
LINKTYPE_IPV4 = 228
LINKTYPE_IPV6 = 229
LINKTYPE_LINUX_SLL2 = 276
LINKTYPE_BY_HATYPE = 0xFFFF
"""A ring bound to `any`: each packet's `sockaddr_ll.sll_hatype` tells its link layer (tpacket3 layout only)."""

Layout = Literal["records", "tpacket3", "tallies"]
"""How `PacketBlock.data` is laid out.

`records`:  repeated little-endian `<IIII` (seconds, nanoseconds, captured length, length on the wire) and the bytes.
`tpacket3`: one block of a TPACKET_V3 ring without its block header: repeated `tpacket3_hdr` (48 bytes), `sockaddr_ll`
            at +48, and the packet at `tp_mac`; `tp_next_offset` leads to the next one (linux/if_packet.h).
`tallies`:  no packets, but totals of directed flows that the kernel keeps as an outline: repeated `TALLY`.
"""

TALLY = struct.Struct("<16s16sHHBBHIqqQQ")
"""One directed flow in the kernel's table: source and destination (IPv4 as IPv4-mapped), ports, IP protocol, all TCP
flags so far, flags of the tally (`TALLY_LAST`), interface index, first and last seen (ns since epoch), packets, bytes
(IP length). Totals count from the table's first packet of the flow on, never from the previous tally."""
TALLY_LAST = 1
"""The flow leaves the kernel's table: nothing follows."""

Promise = Literal["", "outline", "exact"]
"""What the filter in front of a source lets through. Empty: it promises nothing. `outline`: openings, closings, DNS and
ICMP errors of whatever is no static target. `exact`: payload only of what `weir.endpoints` and `weir.control` target.
"""


class PacketBlock(msgspec.Struct, frozen=True, kw_only=True, tag="packets", tag_field="t"):
    """A block of packets of one ring, in the order in which the ring gave them; without packets it is a clock tick."""

    v: int = 1
    node: str
    """Name of the node (or file) whose clock stamped the packets."""
    ring: int
    """Number of the ring within the capture run; a conversation is in one ring, whole."""
    run: int
    """The capture run: start time in ns. With node and ring it names one sequence of blocks."""
    sequence: int
    """Number of this block within the ring's run, from 0."""
    source: str = ""
    """Which capture source gave it, e.g. `af_packet` or `pcap`."""
    promise: Promise = ""
    """What its kernel filter promised while the block was captured: more than that is a leak."""
    layout: Layout = "records"
    linktype: int = LINKTYPE_ETHERNET
    """LINKTYPE_* as registered by tcpdump.org, or LINKTYPE_BY_HATYPE."""
    scope: str = ""
    """Network scope: empty for the node's own network, else a name that keeps overlapping addresses apart."""
    first_index: int = 0
    """How many packets this ring gave before this block: the index of the block's first packet."""
    count: int = 0
    """Packets (or tallies) in `data`."""
    clock_ns: int
    """The ring's clock, ns since epoch: no packet of this ring that is stamped earlier follows."""
    lost: int = 0
    """Packets that this ring lost since its previous block (kernel drops and blocks the bus refused)."""
    generation: int = 0
    """Generation of the control document under which the block was captured."""
    end: bool = False
    """The ring ends here: nothing follows. Its open conversations can be closed."""
    interfaces: dict[int, str] = {}
    """Names of the interface indexes that occur in the block, as far as known."""
    data: Buffer = b""
