"""Classic BPF programs as values (linux/filter.h). Pure."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import NamedTuple

MAX_INSTRUCTIONS = 4096
"""BPF_MAXINSNS (linux/bpf_common.h)."""
DLT_RAW = 12
"""The link type for which expressions are compiled. (LINKTYPE_RAW, 101, is for files alone.)"""

_INSTRUCTION = struct.Struct("=HBBI")
_SKF_NET_OFF = 0x100000
"""Offsets from minus this on count from the network header (linux/filter.h)."""
_CLASS, _MODE = 0x07, 0xE0
_LD, _LDX = 0x00, 0x01
_ABS, _IND, _MSH = 0x20, 0x40, 0xA0
_JEQ_K = 0x15
_RET_K = 0x06
_INTERFACE = 0xFFFFF008
"""SKF_AD_OFF + SKF_AD_IFINDEX (linux/filter.h)."""


class Instruction(NamedTuple):
    code: int
    jt: int
    jf: int
    k: int


Program = tuple[Instruction, ...]


def accept(snaplen: int) -> Program:
    """Keep the first `snaplen` bytes of every packet."""
    return (Instruction(_RET_K, 0, 0, snaplen),)


REJECT: Program = (Instruction(_RET_K, 0, 0, 0),)


def from_network_header(program: Program) -> Program:
    """Let every load that counts from the first byte count from the network header.

    So one program serves all interfaces of an `any` socket, whatever their link headers, and tags that the kernel did
    not strip. The kernel looks for such offsets in the linear part of a packet, which is where headers are.
    """
    return tuple(i._replace(k=(i.k - _SKF_NET_OFF) & 0xFFFFFFFF) if _loads_packet(i) else i for i in program)


def setting_aside(program: Program, interfaces: Iterable[int]) -> Program:
    """Before all else, drop what these interfaces show."""
    checks = [
        instruction
        for index in interfaces for instruction in (Instruction(_JEQ_K, 0, 1, index), Instruction(_RET_K, 0, 0, 0))
    ]
    return (Instruction(_LD | _ABS, 0, 0, _INTERFACE), *checks, *program) if checks else program


def _loads_packet(instruction: Instruction) -> bool:
    kind, mode = instruction.code & _CLASS, instruction.code & _MODE
    return (kind == _LD and mode in (_ABS, _IND)) or (kind == _LDX and mode == _MSH)


def encode(program: Program) -> bytes:
    """An array of `struct sock_filter`."""
    return b"".join(_INSTRUCTION.pack(*i) for i in program)


def decode(code: bytes) -> Program:
    """The reverse of `encode`."""
    return tuple(Instruction(*fields) for fields in _INSTRUCTION.iter_unpack(code))
