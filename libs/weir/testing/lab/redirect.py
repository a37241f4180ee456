"""What arrives at a link of a node goes straight into a pod, past the node's end of the pod's link, as Cilium does it:
nothing that watches that end sees it. A program of five instructions at the ingress of the link (tcx, Linux 6.6)."""

from __future__ import annotations

import contextlib
import os
import struct
from collections.abc import Iterator

from weir.capture.bpf.syscall import attributes, call, load_program
from weir.testing.lab.spaces import index_of
from weir.testing.netns import Namespace

_SCHED_CLS = 3
_TCX_INGRESS = 46
_LINK_CREATE = 28
_REDIRECT_PEER = 155
"""Numbers of include/uapi/linux/bpf.h."""
_INSTRUCTION = struct.Struct("<BBhi")


@contextlib.contextmanager
def redirected(node: Namespace, link: str, pod_link: str) -> Iterator[None]:
    """All that arrives at `link` appears at the other end of `pod_link`."""
    program = load_program(_SCHED_CLS, b"".join(_INSTRUCTION.pack(*fields) for fields in (
        (0xB7, 1, 0, index_of(node, pod_link)), (0xB7, 2, 0, 0), (0x85, 0, 0, _REDIRECT_PEER), (0x95, 0, 0, 0),
    )), b"GPL", "redirected")  # fmt: skip
    try:
        with node.entered():
            link_descriptor = call(
                _LINK_CREATE,  # type: ignore[arg-type]
                attributes("IIIIIIQ", program, index_of(node, link), _TCX_INGRESS, 0, 0, 0, 0),
            )
    finally:
        os.close(program)
    try:
        yield
    finally:
        os.close(link_descriptor)
