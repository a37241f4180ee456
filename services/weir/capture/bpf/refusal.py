"""Why the kernel refuses eBPF, from the error and from /proc/self/status. Pure.

A seccomp profile and a missing capability give the same error, so what is held is looked up.
"""

from __future__ import annotations

import errno

from weir.capture.bpf.elf import BadObjectError
from weir.capture.bpf.syscall import RejectedError

_CAP_SYS_ADMIN, _CAP_BPF = 21, 39
"""Bits in CapEff (linux/capability.h). Kernels before 5.8 know only the first."""


def refusal(error: Exception, status: str, release: str) -> str:
    """One line for people. `status` is the text of /proc/self/status, `release` the kernel's as uname tells it."""
    if isinstance(error, RejectedError):
        return f"the verifier of this kernel ({release}) rejects the program: {_tail(error.log)}"
    if isinstance(error, BadObjectError) or not isinstance(error, OSError):
        return str(error)
    if error.errno in (errno.EPERM, errno.EACCES):
        return _denied(status, release)
    if error.errno == errno.ENOSYS:
        return "bpf(2) is not there (an old kernel, or a seccomp profile)"
    if error.errno == errno.ENOMEM:
        return "there is no memory for its maps (lower capture.flow_entries)"
    if error.errno in (errno.EINVAL, errno.E2BIG):
        return f"this kernel ({release}) is too old for it"
    return f"{error.strerror}"


def _denied(status: str, release: str) -> str:
    fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    held = int(fields.get("CapEff", "0"), 16)
    if not (held >> _CAP_BPF | held >> _CAP_SYS_ADMIN) & 1:
        return "this process lacks the capability CAP_BPF"
    if fields.get("Seccomp", "").strip() == "2":
        return "the capability is held, but a seccomp profile refuses bpf(2)"
    if _before(release, 5, 11):
        return "the capability is held, but not the memory (kernels before 5.11 count it by RLIMIT_MEMLOCK)"
    return "the capability is held, but a security policy refuses bpf(2)"


def _before(release: str, major: int, minor: int) -> bool:
    numbers = release.split("-")[0].split(".")
    try:
        return (int(numbers[0]), int(numbers[1])) < (major, minor)
    except (IndexError, ValueError):
        return False


def _tail(log: str) -> str:
    lines = [line.strip() for line in log.splitlines() if line.strip() and not line.startswith("processed ")]
    return "; ".join(lines[-2:]) or "it does not say why"
