"""The system call bpf(2), by ctypes: `struct`s in, numbers and errors out (include/uapi/linux/bpf.h).

Why the kernel refuses is told for people in `weir.capture.bpf.refusal`.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct
from enum import IntEnum

_NUMBERS = {"x86_64": 321, "aarch64": 280}
_ATTR_BYTES = 144
"""The kernel wants what it does not know of `union bpf_attr` to be zero; more than any command here uses."""
_LOG_BYTES = 1 << 18
_LOG_SHOWN = 600
SOCKET_FILTER = 1
"""BPF_PROG_TYPE_SOCKET_FILTER."""


class Command(IntEnum):
    """enum bpf_cmd."""

    MAP_CREATE = 0
    MAP_LOOKUP = 1
    MAP_UPDATE = 2
    MAP_DELETE = 3
    PROG_LOAD = 5
    PROG_TEST_RUN = 10
    MAP_LOOKUP_AND_DELETE = 21
    MAP_LOOKUP_BATCH = 24
    MAP_UPDATE_BATCH = 26
    ENABLE_STATS = 32


class RejectedError(OSError):
    """The verifier does not take the program; `log` is the end of what it said."""

    log: str = ""


def call(command: Command, attributes: ctypes.Array[ctypes.c_char]) -> int:
    """The answer of the kernel; raises OSError. `attributes` is written to by some commands."""
    number = _NUMBERS.get(platform.machine())
    if number is None:
        raise OSError(errno.ENOSYS, f"no number of bpf(2) is known for {platform.machine()}")
    answer: int = _LIBC.syscall(number, int(command), attributes, len(attributes))
    if answer < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return answer


def attributes(layout: str, *fields: int | bytes) -> ctypes.Array[ctypes.c_char]:
    """`union bpf_attr` with these fields first and zeros behind."""
    return ctypes.create_string_buffer(struct.pack(layout, *fields), _ATTR_BYTES)


def load_program(kind: int, instructions: bytes, license_text: bytes, name: str) -> int:
    """Load and verify; answers the program's descriptor. Raises OSError, RejectedError if the verifier said why."""
    code = ctypes.create_string_buffer(instructions, len(instructions))
    terms = ctypes.create_string_buffer(license_text)

    def attempt(log: ctypes.Array[ctypes.c_char] | None) -> int:
        place, size = (ctypes.addressof(log), len(log)) if log is not None else (0, 0)
        return call(Command.PROG_LOAD, attributes(
            "IIQQIIQII16s", kind, len(instructions) // 8, ctypes.addressof(code), ctypes.addressof(terms),
            1 if log is not None else 0, size, place, 0, 0, name.encode()[:15],
        ))

    try:
        return attempt(None)
    except OSError as error:
        log = ctypes.create_string_buffer(_LOG_BYTES)
        try:
            return attempt(log)
        except OSError:
            said = log.value.decode(errors="replace").strip()
        if not said:
            raise
        rejected = RejectedError(error.errno, error.strerror)
        rejected.log = said[-_LOG_SHOWN:]
        raise rejected from None


def run_program(program: int, packet: bytes, *, interface: int = 0, repeat: int = 1) -> tuple[int, int]:
    """What the program answers to this Ethernet frame, and how long one run took, in ns (BPF_PROG_TEST_RUN)."""
    data = ctypes.create_string_buffer(packet, len(packet))
    context = ctypes.create_string_buffer(192)
    struct.pack_into("I", context, 40, interface)
    attr = attributes(
        "IIIIQQIIIIQQ", program, 0, len(packet), 0, ctypes.addressof(data), 0, repeat, 0, len(context), 0,
        ctypes.addressof(context), 0,
    )
    call(Command.PROG_TEST_RUN, attr)
    answer, = struct.unpack_from("I", attr, 4)
    duration, = struct.unpack_from("I", attr, 36)
    return int(answer), int(duration)


_LIBC = ctypes.CDLL(None, use_errno=True)
