"""Traffic that means harm to whoever reads it: nothing of it is obeyed by a terminal or a spreadsheet."""

from __future__ import annotations

import csv
import io
import json
import os
import pty
import re
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from weir.model.segments import ACK, FIN, SYN
from weir.testing.command import Weir
from weir.testing.packets import ethernet, ipv4, tcp, udp

CLIENT, SERVER = "10.0.0.1", "10.0.0.2"
TITLE = b"\x1b]0;owned\x07"
"""Sets the title of the window."""
COLOUR = "\x9b31m".encode()
"""CSI as one character (C1)."""
TURNED = "\u202egnp.exe\u2066\u200f".encode()
"""Turns the direction of writing."""
WIPE = b"\x1b[2J\x1b[H\x08\x7f\r"
FORMULA = b"=HYPERLINK(1)"
OBEYED = (b"\x1b", COLOUR, "\u202e".encode(), "\u2066".encode(), "\u200f".encode(), b"\x07", b"\x08", b"\x7f")


def exchange(request: bytes, response: bytes) -> list[bytes]:
    """One connection, with one call."""
    talk: list[tuple[bool, bytes, dict[str, Any]]] = [
        (True, b"", {"flags": SYN, "seq": 0}), (False, b"", {"flags": SYN | ACK, "seq": 0, "ack": 1}),
        (True, request, {"seq": 1, "ack": 1}), (False, response, {"seq": 1, "ack": 1 + len(request)}),
        (False, b"", {"flags": FIN | ACK, "seq": 1 + len(response), "ack": 1 + len(request)}),
        (True, b"", {"flags": FIN | ACK, "seq": 1 + len(request), "ack": 2 + len(response)}),
    ]
    return [
        ethernet(ipv4(CLIENT, SERVER, 6, tcp(40000, 80, data, **more)) if out
                 else ipv4(SERVER, CLIENT, 6, tcp(80, 40000, data, **more)))
        for out, data, more in talk
    ]


def lookup() -> list[bytes]:
    """A name with labels of bytes that nobody can type."""
    labels = b"".join(bytes([len(label)]) + label for label in (TITLE, COLOUR + TURNED, FORMULA, b"com")) + b"\0"
    question = labels + struct.pack("!HH", 1, 1)
    asked = struct.pack("!HHHHHH", 7, 0x0100, 1, 0, 0, 0) + question
    answered = struct.pack("!HHHHHH", 7, 0x8183, 1, 0, 0, 0) + question
    return [ethernet(ipv4(CLIENT, SERVER, 17, udp(40001, 53, asked))),
            ethernet(ipv4(SERVER, CLIENT, 17, udp(53, 40001, answered)))]


@pytest.fixture
def file(weir: Weir) -> Path:
    body = b"{\"a\": \"" + TITLE + WIPE + COLOUR + TURNED + b"<script>alert(1)</script>\"}"
    request = (b"POST /" + COLOUR + TURNED + b"?q=" + FORMULA + b" HTTP/1.1\r\nHost: " + FORMULA + TURNED
               + b"\r\nUser-Agent: " + COLOUR + TURNED + b"\r\nX-" + b"A" * 3 + b": " + TURNED
               + b"\r\nContent-Length: " + str(len(body)).encode() + b"\r\n\r\n" + body)
    response = (b"HTTP/1.1 500 " + COLOUR + TURNED + b"\r\nServer: " + COLOUR + b"\r\nContent-Length: "
                + str(len(body)).encode() + b"\r\n\r\n" + body)
    packets = exchange(request, response) + lookup()
    written = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1)
    for n, packet in enumerate(packets):
        written += struct.pack("<IIII", 1_700_000_000, n * 1000, len(packet), len(packet)) + packet
    path = weir.folder / "hostile.pcap"
    path.write_bytes(written)
    return path


WAYS: list[list[str]] = [
    *(["read", "FILE", "-o", form] for form in ("table", "json", "full", "csv", "har")),
    ["stats", "FILE", "--by", "path,host,dns_name"], ["stats", "FILE", "--by", "path,user_agent,reason", "-o", "json"],
    ["stats", "FILE", "--by", "request.body.text", "-o", "csv"], ["map", "FILE"], ["map", "FILE", "-o", "mermaid"],
    ["map", "FILE", "-o", "json"],
]


def inert(shown: bytes) -> None:
    for part in OBEYED:
        assert part not in shown
    assert all(c.isprintable() or c in "\r\n\t" for c in shown.decode())


@pytest.mark.parametrize("argv", WAYS, ids=lambda argv: "-".join(argv[:1] + argv[2:]))
def test_nothing_is_obeyed_of_a_file(weir: Weir, file: Path, argv: list[str]) -> None:
    main, end = pty.openpty()
    command = [sys.executable, "-m", "weir.cli", *(str(file) if word == "FILE" else word for word in argv)]
    with subprocess.Popen(
        [*command, "--no-color"], env=weir.env | {"TERM": "xterm"}, stdin=subprocess.DEVNULL, stdout=end, stderr=end,
    ) as process:
        os.close(end)
        shown = b""
        while True:
            try:
                shown += os.read(main, 65536)
            except OSError:
                break
        os.close(main)
        assert process.wait(60) == 0
    inert(shown)
    assert shown.count(b"\n") > 2


def test_nothing_is_obeyed_of_a_hub(weir: Weir, file: Path) -> None:
    with weir.start("up", "-f", str(file), "--listen", "127.0.0.1:0") as up:
        up.says("token=")
        url = re.findall(r"open (http://\S+)", up.err())[0]
        up.until(lambda: {"http", "udp"} <= set(re.split(r"\W", weir("stats", "--hub", url, "-o", "csv").out)))
        tap = ["tap", "--last", "9", "--no-follow"]
        for argv in (tap, [*tap, "-o", "full"], [*tap, "-o", "json"], [*tap, "-o", "csv"],
                     ["export"], ["export", "-o", "har"], ["stats", "--by", "path,dns_name"], ["map"], ["status"]):
            done = weir(*argv, "--hub", url)
            assert done.code == 0, done.err
            inert(done.out.encode())
            inert(done.err.encode())


def test_json_is_exact_all_the_same(weir: Weir, file: Path) -> None:
    told = [json.loads(line) for line in weir("read", str(file), "-q", "-o", "json").out.splitlines()]
    [call] = [one for one in told if one["protocol"] == "http"]
    assert call["path"] == "/" + (COLOUR + TURNED).decode()
    assert call["request"]["body"]["text"].encode() == (
        b"{\"a\": \"" + TITLE + WIPE + COLOUR + TURNED + b"<script>alert(1)</script>\"}"
    )


def test_a_spreadsheet_gets_no_formula(weir: Weir, file: Path) -> None:
    by_host = weir("stats", str(file), "-q", "--by", "host", "-o", "csv").out
    assert any(one["host"].startswith("'=HYPERLINK") for one in csv.DictReader(io.StringIO(by_host)))
    for text in (by_host, weir("read", str(file), "-q", "-o", "csv").out):
        for row in csv.reader(io.StringIO(text)):
            assert not any(cell[:1] in ("=", "+", "@", "\t", "\r") for cell in row)
