from __future__ import annotations

import errno

import pytest

from weir.capture.bpf.elf import BadObjectError
from weir.capture.bpf.refusal import refusal
from weir.capture.bpf.syscall import RejectedError


def status(capabilities: int, seccomp: int = 0) -> str:
    return f"Name:\tpython\nCapEff:\t{capabilities:016x}\nSeccomp:\t{seccomp}\n"


@pytest.mark.parametrize(
    ("error", "told", "words"),
    [
        (OSError(errno.EPERM, "no"), status(1 << 13), "lacks the capability CAP_BPF"),
        (OSError(errno.EPERM, "no"), status(1 << 39, 2), "a seccomp profile refuses bpf(2)"),
        (OSError(errno.EACCES, "no"), status(1 << 21), "a security policy refuses bpf(2)"),
        (OSError(errno.EPERM, "no"), "", "lacks the capability CAP_BPF"),
        (OSError(errno.ENOSYS, "no"), status(0), "bpf(2) is not there"),
        (OSError(errno.ENOMEM, "no"), status(0), "capture.flow_entries"),
        (OSError(errno.EINVAL, "no"), status(0), "(6.1.0) is too old"),
        (OSError(errno.EBUSY, "busy"), status(0), "busy"),
        (BadObjectError("the object is cut"), "", "the object is cut"),
    ],
)
def test_says_why(error: Exception, told: str, words: str) -> None:
    assert words in refusal(error, told, "6.1.0")


def test_old_kernels_count_the_memory_of_maps() -> None:
    assert "RLIMIT_MEMLOCK" in refusal(OSError(errno.EPERM, "no"), status(1 << 39), "5.4.0-generic")
    assert "policy" in refusal(OSError(errno.EPERM, "no"), status(1 << 39), "strange")


def test_the_verifier_is_quoted_from_its_end() -> None:
    error = RejectedError(errno.EACCES, "no")
    error.log = "0: r0 = 1\n5: r1 = *(u8 *)(r0 +0)\nR0 invalid mem access 'scalar'\nprocessed 6 insns\n"
    words = refusal(error, status(0), "6.1.0")
    assert words.endswith("5: r1 = *(u8 *)(r0 +0); R0 invalid mem access 'scalar'")
    error.log = ""
    assert "does not say why" in refusal(error, status(0), "6.1.0")
