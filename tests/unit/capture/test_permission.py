from __future__ import annotations

import socket
import sys
from pathlib import Path
from typing import Any

import pytest

from weir.capture.permission import missing, open_packet_socket, require_capture
from weir.errors import PermissionMissing, SourceError


def status(effective: int, seccomp: int = 0) -> str:
    return f"Name:\tpython\nCapEff:\t{effective:016x}\nSeccomp:\t{seccomp}\n"


def test_the_missing_capability_and_the_command_that_grants_it() -> None:
    error = missing(status(0))
    assert error.exit_code == 4
    assert "lacks the capability CAP_NET_RAW" in error.message
    assert f"sudo setcap cap_net_raw+ep {Path(sys.executable).resolve()}" in error.hint
    assert "sudo" in error.hint


def test_all_but_net_raw_is_not_enough() -> None:
    assert "lacks" in missing(status(0xFFFFFFFFFFFFFFFF & ~(1 << 13))).message


def test_a_capability_that_is_held_points_to_a_policy() -> None:
    assert "a seccomp profile refuses" in missing(status(1 << 13, seccomp=2)).message
    assert "a security policy refuses" in missing(status(1 << 13)).message


def test_an_unreadable_status_is_taken_as_no_capability() -> None:
    assert "lacks" in missing("").message


def test_a_refused_socket_is_permission_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: Any) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(socket, "socket", refuse)
    with pytest.raises(PermissionMissing):
        require_capture()


def test_a_kernel_without_packet_sockets_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: Any) -> None:
        raise OSError(97, "Address family not supported by protocol")

    monkeypatch.setattr(socket, "socket", refuse)
    with pytest.raises(SourceError, match="opens no packet socket") as caught:
        open_packet_socket()
    assert "CONFIG_PACKET" in caught.value.hint


def test_other_systems_are_sent_to_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    with pytest.raises(SourceError, match="only Linux has") as caught:
        open_packet_socket()
    assert "tcpdump -w -" in caught.value.hint
