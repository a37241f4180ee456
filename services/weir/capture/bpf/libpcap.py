"""Compiles expressions with the system's libpcap, by ctypes: no build step, and what tcpdump accepts is accepted.

Names of hosts never get here: libpcap would ask the resolver in the middle of compiling.
"""

from __future__ import annotations

import ctypes
import functools

from weir.capture.bpf.program import DLT_RAW, MAX_INSTRUCTIONS, Program, decode

_NAMES = ("libpcap.so.0.8", "libpcap.so.1", "libpcap.so")
"""Debian's name, everybody else's, and that of development packages."""
_NETMASK_UNKNOWN = 0xFFFFFFFF


class UnavailableError(Exception):
    """No kernel filter can be made, and why."""


class _BpfProgram(ctypes.Structure):
    _fields_ = [("length", ctypes.c_uint), ("instructions", ctypes.c_void_p)]


def version() -> str:
    """`libpcap 1.10.3`; raises UnavailableError."""
    text: bytes = _library().pcap_lib_version()
    words = text.decode(errors="replace").split()
    return f"libpcap {words[2]}" if len(words) > 2 else text.decode(errors="replace")


def compile_expression(text: str, snaplen: int) -> Program:
    """The program for packets that begin with their IP header; raises UnavailableError."""
    library = _library()
    handle = library.pcap_open_dead(DLT_RAW, snaplen)
    if not handle:
        raise UnavailableError("libpcap gives no handle")
    program = _BpfProgram()
    try:
        if library.pcap_compile(handle, ctypes.byref(program), text.encode(), 1, _NETMASK_UNKNOWN) != 0:
            reason: bytes = library.pcap_geterr(handle)
            raise UnavailableError(f"libpcap: {reason.decode(errors='replace')}")
        try:
            if program.length > MAX_INSTRUCTIONS:
                raise UnavailableError(f"the filter has {program.length} instructions, the kernel takes 4096")
            return decode(ctypes.string_at(program.instructions or 0, program.length * 8))
        finally:
            library.pcap_freecode(ctypes.byref(program))
    finally:
        library.pcap_close(handle)


@functools.cache
def _library() -> ctypes.CDLL:
    for name in _NAMES:
        try:
            library = ctypes.CDLL(name)
        except OSError:
            continue
        library.pcap_lib_version.restype = ctypes.c_char_p
        library.pcap_open_dead.restype = ctypes.c_void_p
        library.pcap_open_dead.argtypes = [ctypes.c_int, ctypes.c_int]
        library.pcap_compile.argtypes = [
            ctypes.c_void_p, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int, ctypes.c_uint32,
        ]
        library.pcap_geterr.restype = ctypes.c_char_p
        library.pcap_geterr.argtypes = [ctypes.c_void_p]
        library.pcap_freecode.argtypes = [ctypes.c_void_p]
        library.pcap_close.argtypes = [ctypes.c_void_p]
        return library
    raise UnavailableError("libpcap is not installed (Debian: apt install libpcap0.8)")
