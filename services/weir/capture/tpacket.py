"""A packet socket with its mapped TPACKET_V3 ring (linux/if_packet.h, Documentation/networking/packet_mmap.rst).

Blocks are copied out once, whole, and go back to the kernel at once. Nothing here looks at a packet. A VLAN tag that
the kernel took out of a frame stays where the kernel put it, in the packet's `tpacket3_hdr`, and travels with the
block: `tp_vlan_tci` at +32 and `tp_vlan_tpid` at +36, valid by the bits TP_STATUS_VLAN_VALID (0x10) and
TP_STATUS_VLAN_TPID_VALID (0x40) of `tp_status` at +20. Whoever writes frames into a file puts it back from there.
"""

from __future__ import annotations

import ctypes
import fcntl
import mmap
import os
import socket
import struct
from collections.abc import Iterator
from pathlib import Path

import msgspec

from weir.capture.bpf.local import ipv4_addresses, ipv6_addresses
from weir.capture.bpf.program import Program, encode
from weir.capture.permission import open_packet_socket
from weir.errors import SourceError

_SOL_PACKET = 263
_RX_RING, _STATISTICS, _VERSION, _FANOUT, _IGNORE_OUTGOING = 5, 6, 10, 18, 23
_TPACKET_V3 = 2
_FANOUT_HASH, _FANOUT_UNIQUE_ID = 0, 0x2000
_SO_ATTACH_FILTER, _SO_ATTACH_BPF = 26, 50
_SIOCGIFCONF, _SIOCGIFHWADDR = 0x8912, 0x8927
_IFCONF_BYTES = 1 << 16
_SIOCGIFBR, _BRCTL_GET_BRIDGES, _MAX_BRIDGES = 0x8940, 1, 1024
"""linux/sockios.h, linux/if_bridge.h"""
_ETH_P_ALL = 0x0003
_FRAME_BYTES = 2048
_TP_STATUS_USER = 1

_STATUS = struct.Struct("=I")
_BLOCK = struct.Struct("=III16xII")
"""From +12 of a block: packets, offset of the first, length of the block; and from +40 the stamp of the last packet."""
_SOCKADDR_LL = struct.Struct("=HHiHBB8s")


class RingBlock(msgspec.Struct, frozen=True):
    """One block as the kernel filled it."""

    data: bytes
    """Layout `tpacket3` of `weir.model.packets`."""
    count: int
    last_ns: int
    """Stamp of its last packet."""


class PacketRing:
    """One ring. Receives nothing until `bind`, so that no packet gets past the filter."""

    def __init__(self, *, block_bytes: int, blocks: int, retire_ms: int) -> None:
        self._block_bytes = block_bytes
        self._blocks = blocks
        self._next = 0
        self.socket = open_packet_socket()
        try:
            self.socket.setblocking(False)
            self.socket.setsockopt(_SOL_PACKET, _VERSION, _TPACKET_V3)
            frames = block_bytes // _FRAME_BYTES * blocks
            ring = struct.pack("=7I", block_bytes, blocks, _FRAME_BYTES, frames, retire_ms, 0, 0)
            self.socket.setsockopt(_SOL_PACKET, _RX_RING, ring)
            self._map = mmap.mmap(self.socket.fileno(), block_bytes * blocks)
        except OSError as error:
            self.socket.close()
            raise SourceError(
                f"no ring of {blocks} blocks of {block_bytes} bytes: {error.strerror}",
                hint="lower capture.ring_blocks; capture.block_bytes has to be a power of two",
            ) from None
        self._view = memoryview(self._map)

    def fileno(self) -> int:
        return self.socket.fileno()

    def attach(self, program: Program) -> None:
        """Put a filter in place, of the one before it if there is one. Raises OSError."""
        code = ctypes.create_string_buffer(encode(program))
        self.socket.setsockopt(
            socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("HxxxxxxQ", len(program), ctypes.addressof(code))
        )

    def attach_extended(self, program: int) -> None:
        """Likewise an eBPF program, by its descriptor."""
        self.socket.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_BPF, program)

    def ignore_outgoing(self) -> None:
        """For the loopback device, which shows each packet going out and coming in. Elsewhere it would lose what this
        host sends. Kernels before 4.20 refuse; `filter` drops the second copy all the same."""
        try:
            self.socket.setsockopt(_SOL_PACKET, _IGNORE_OUTGOING, 1)
        except OSError:
            return

    def bind(self, index: int) -> None:
        """Begin to receive from the interface with this index, 0 for all. (`socket.bind` wants a name.)"""
        address = _SOCKADDR_LL.pack(socket.AF_PACKET, socket.htons(_ETH_P_ALL), index, 0, 0, 0, b"")
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.bind(self.fileno(), address, len(address)) != 0:
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code))

    def join(self, group: int | None) -> int:
        """Share the packets of the interface with other rings by the kernel's symmetric flow hash, each conversation
        in one ring whole (the other kinds of fan-out split them). None makes a new group; answers its number."""
        kind = _FANOUT_HASH | (_FANOUT_UNIQUE_ID if group is None else 0)
        self.socket.setsockopt(_SOL_PACKET, _FANOUT, struct.pack("=I", (group or 0) | kind << 16))
        joined: int = self.socket.getsockopt(_SOL_PACKET, _FANOUT) & 0xFFFF
        return joined

    def hardware_type(self, name: str) -> int:
        """ARPHRD_* of an interface (linux/if_arp.h)."""
        request = struct.pack("16s24x", name.encode())
        answer: bytes = fcntl.ioctl(self.fileno(), _SIOCGIFHWADDR, request)
        return int(struct.unpack_from("=H", answer, 16)[0])

    def local_addresses(self) -> list[bytes]:
        """Addresses of all interfaces in this socket's network namespace, as far as they can be told."""
        room = ctypes.create_string_buffer(_IFCONF_BYTES)
        request = bytearray(struct.pack("=ixxxxQ", len(room), ctypes.addressof(room)))
        try:
            fcntl.ioctl(self.fileno(), _SIOCGIFCONF, request)
            length, = struct.unpack_from("=i", request)
            return [
                *ipv4_addresses(room.raw[:length]),
                *ipv6_addresses(Path("/proc/thread-self/net/if_inet6").read_text(encoding="ascii")),
            ]
        except OSError:
            return []

    def bridges(self) -> list[int]:
        """Indices of the bridges in this socket's network namespace, in order; none where the kernel has no bridges."""
        room = (ctypes.c_int * _MAX_BRIDGES)()
        request = struct.pack("@3L", _BRCTL_GET_BRIDGES, ctypes.addressof(room), _MAX_BRIDGES)
        libc = ctypes.CDLL(None, use_errno=True)
        found: int = libc.ioctl(self.fileno(), _SIOCGIFBR, request)
        return sorted(room[:max(found, 0)])

    def take(self, limit: int) -> Iterator[RingBlock]:
        """The blocks that are ready, at most `limit`."""
        for _ in range(limit):
            at = self._next * self._block_bytes
            if not _STATUS.unpack_from(self._view, at + 8)[0] & _TP_STATUS_USER:
                return
            count, first, length, seconds, nanoseconds = _BLOCK.unpack_from(self._view, at + 12)
            data = bytes(self._view[at + first : at + length])
            _STATUS.pack_into(self._view, at + 8, 0)
            self._next = (self._next + 1) % self._blocks
            yield RingBlock(data, count, seconds * 1_000_000_000 + nanoseconds)

    def dropped(self) -> int:
        """Packets for which the ring had no room, since the last call."""
        statistics = self.socket.getsockopt(_SOL_PACKET, _STATISTICS, 12)
        return int(struct.unpack("=III", statistics)[1])

    def trouble(self) -> int:
        """The error that the socket has pending (ENETDOWN when its interface goes down), 0 if none; clears it."""
        return self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)

    def close(self) -> None:
        self._view.release()
        self._map.close()
        self.socket.close()
