"""Capture files that are missing, foreign, cut or lying: one line, a hint and exit code 3, or what came before."""

from __future__ import annotations

import gzip
import json
import os
import struct
from pathlib import Path

import pytest

from weir.cli.demo import RECORDING
from weir.testing.command import Result, Weir

GOOD = RECORDING.read_bytes()


def record_at(number: int) -> int:
    """Where the header of this record of the recording is."""
    at = 24
    for _ in range(number):
        at += 16 + struct.unpack_from("<I", GOOD, at + 8)[0]
    return at


def lying(number: int, captured: int) -> bytes:
    """The recording, in which one record claims another captured length."""
    at = record_at(number)
    return GOOD[: at + 8] + struct.pack("<I", captured) + GOOD[at + 12 :]


def refused(done: Result, *parts: str) -> None:
    assert done.code == 3
    assert done.out == ""
    line, hint = done.err.splitlines()
    assert line.startswith("weir: ")
    assert hint.startswith("hint: ")
    for part in parts:
        assert part in done.err


NOTHING_TO_READ = {
    "empty": (b"", "is empty"),
    "text": (b"once upon a time there was no capture at all\n" * 20, "is not a capture file"),
    "half a header": (GOOD[:10], "ends inside its file header, after 10 bytes"),
    "half a packet": (GOOD[:50], "breaks off in the record at byte 24"),
    "a lie at once": (lying(0, 0x7FFFFFFF), "claims 2147483647 captured bytes"),
    "broken gzip": (gzip.compress(GOOD)[:15], "cannot be read"),
}


@pytest.mark.parametrize("what", NOTHING_TO_READ)
def test_a_file_that_gives_nothing_is_refused(weir: Weir, what: str) -> None:
    data, why = NOTHING_TO_READ[what]
    (weir.folder / "odd.pcap").write_bytes(data)
    refused(weir("read", "odd.pcap"), "odd.pcap", why)


@pytest.mark.parametrize("what", sorted(NOTHING_TO_READ.keys() - {"broken gzip"}))
def test_so_is_a_standard_input_that_gives_nothing(weir: Weir, what: str) -> None:
    data, why = NOTHING_TO_READ[what]
    refused(weir("read", "-", stdin=data), "the standard input", why)


def test_a_file_that_is_missing_is_named_with_one_that_is_not(weir: Weir) -> None:
    (weir.folder / "checkout.pcap").write_bytes(GOOD)
    refused(weir("read", "chekout.pcap"), "there is no file chekout.pcap", "did you mean checkout.pcap?")


def test_a_folder_is_no_file(weir: Weir) -> None:
    refused(weir("read", "."), "is a folder")


def test_one_bad_file_of_several_is_told_before_anything_is_printed(weir: Weir) -> None:
    (weir.folder / "text.pcap").write_bytes(b"once upon a time")
    refused(weir("read", str(RECORDING), "text.pcap"), "text.pcap is not a capture file")


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to be somebody else")
@pytest.mark.root
def test_a_file_of_somebody_else_is_told(weir: Weir) -> None:
    file = weir.folder / "secret.pcap"
    file.write_bytes(GOOD)
    file.chmod(0o600)
    os.chown(file, 65534, 65534)
    refused(weir("read", str(file), before=["setpriv", "--bounding-set", "-all"]), "may not be read by this user")


CUT = {
    "breaks off": (GOOD[: record_at(100) + 30], "breaks off in the record at byte", "truncated"),
    "lies": (lying(100, 0x7FFFFFFF), "claims 2147483647 captured bytes", "length"),
    "breaks off in gzip": (gzip.compress(GOOD)[:-4000], "packets were read before it", "unreadable"),
}


@pytest.mark.parametrize("what", CUT)
@pytest.mark.parametrize("way", ["file", "standard input"])
def test_what_comes_before_damage_is_read_and_the_loss_is_told(weir: Weir, what: str, way: str) -> None:
    data, why, reason = CUT[what]
    (weir.folder / "cut.pcap").write_bytes(data)
    done = weir("read", "cut.pcap", "-o", "json") if way == "file" else weir("read", "-", "-o", "json", stdin=data)
    assert done.code == 0
    assert {json.loads(line)["protocol"] for line in done.out.splitlines()} >= {"http", "dns"}
    assert why in done.err
    assert f"lost: 1 (capture.{reason})" in done.err


def test_each_damaged_file_of_several_is_told(weir: Weir) -> None:
    for name, packets in (("one.pcap", 50), ("two.pcap", 60)):
        (weir.folder / name).write_bytes(GOOD[: record_at(packets) + 30])
    done = weir("read", "one.pcap", "two.pcap", "-q")
    assert (done.code, done.err) == (0, "")
    done = weir("read", "one.pcap", "two.pcap")
    assert "one.pcap: the file breaks off" in done.err
    assert "two.pcap: the file breaks off" in done.err
    assert "110 packets read" in done.err


def test_a_length_that_reaches_over_the_next_records_gives_no_exception(weir: Weir) -> None:
    """It swallows what follows, up to its claim; where that ends no record begins."""
    (weir.folder / "odd.pcap").write_bytes(lying(100, 3000))
    done = weir("read", "odd.pcap")
    assert done.code == 0
    assert "Traceback" not in done.err
    assert "packets read" in done.err


def test_up_refuses_a_bad_file_as_read_does(weir: Weir) -> None:
    (weir.folder / "odd.pcap").write_bytes(b"once upon a time")
    done = weir("up", "--file", "odd.pcap", "--listen", "127.0.0.1:0")
    assert done.code == 3
    assert done.err.count("is not a capture file") == 1
    assert done.message()[-1].startswith("hint: ")


def test_a_file_of_headers_alone_is_read_to_its_end(weir: Weir, tmp_path: Path) -> None:
    (weir.folder / "none.pcap").write_bytes(GOOD[:24])
    done = weir("read", "none.pcap")
    assert done.code == 0
    assert "0 packets read" in done.err
