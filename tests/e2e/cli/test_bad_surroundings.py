"""What is missing around weir: the right to capture, an interface, a port, a hub, room on the disk."""

from __future__ import annotations

import contextlib
import os
import re
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from weir.cli.demo import RECORDING
from weir.testing.command import Result, Weir

NO_RIGHT = ["setpriv", "--bounding-set", "-net_raw", "--inh-caps", "-net_raw"]
root = pytest.mark.root
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to drop or use a capability")


@contextlib.contextmanager
def taken_port() -> Iterator[int]:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        held.listen()
        yield held.getsockname()[1]


def told(done: Result, code: int, said: str, hint: str) -> None:
    """One error, once, with its hint, at the end."""
    assert done.code == code, done.err
    line, last = done.message()
    assert said in line
    assert last.startswith("hint: ")
    assert hint in last
    assert done.err.count(line) == 1
    assert "Traceback" not in done.err


@root
@needs_root
def test_no_right_to_capture(weir: Weir) -> None:
    done = weir("up", "-i", "lo", "--listen", "127.0.0.1:0", before=NO_RIGHT)
    told(done, 4, "lacks the capability CAP_NET_RAW", "sudo setcap cap_net_raw+ep /")
    assert len(done.err.splitlines()) == 2


@root
@needs_root
def test_no_right_to_capture_needs_none_to_read_a_file(weir: Weir) -> None:
    assert weir("read", str(RECORDING), "-q", before=NO_RIGHT).code == 0


@root
@needs_root
def test_the_demo_without_the_right_shows_its_recording_and_says_so(weir: Weir) -> None:
    with weir.start("up", "--demo", "--listen", "127.0.0.1:0", before=NO_RIGHT) as up:
        up.says("open http://127.0.0.1:")
        assert "sudo setcap cap_net_raw+ep /" in up.err()
        assert "RECORDING" in up.err()
        up.interrupt()
        done = up.end()
    assert done.code == 0
    assert "entries decoded" in done.err


@root
@needs_root
def test_an_unknown_interface_lists_those_that_exist(weir: Weir) -> None:
    done = weir("up", "-i", "eth99", "--listen", "127.0.0.1:0")
    told(done, 3, "there is no interface 'eth99'", "interfaces here are any, ")
    for _, name in socket.if_nameindex():
        assert name in done.err


def test_a_port_in_use(weir: Weir) -> None:
    with taken_port() as port:
        done = weir("up", "-f", str(RECORDING), "--listen", f"127.0.0.1:{port}")
    told(done, 7, f"cannot listen on 127.0.0.1:{port}: Address already in use", "port 0 for any")


def test_an_address_of_another_machine(weir: Weir) -> None:
    done = weir("up", "-f", str(RECORDING), "--listen", "192.0.2.1:8899")
    told(done, 7, "cannot listen on 192.0.2.1:8899", "--hub.listen HOST:PORT")


@pytest.mark.parametrize("command", ["tap", "status", "stats", "map", "export"])
def test_no_hub(weir: Weir, command: str) -> None:
    with taken_port() as port:
        pass
    done = weir(command, "--hub", f"127.0.0.1:{port}")
    told(done, 7, f"no hub at http://127.0.0.1:{port}: Connection refused", "`weir up`")
    assert len(done.err.splitlines()) == 2


@pytest.mark.parametrize("command", ["tap", "status"])
def test_something_else_answers(weir: Weir, command: str) -> None:
    with weir.start("-b", "127.0.0.1", "0", module="http.server", env={"PYTHONUNBUFFERED": "1"}) as other:
        other.until(lambda: "port " in other.out())
        port = re.findall(r"port (\d+)", other.out())[0]
        done = weir(command, "--hub", f"127.0.0.1:{port}")
    told(done, 7, f"the hub at http://127.0.0.1:{port} answered 404", "--hub URL")


@contextlib.contextmanager
def running_hub(weir: Weir, *more: str) -> Iterator[tuple[str, str]]:
    """URL and token of a hub that shows the recording."""
    with weir.start("up", "-f", str(RECORDING), "--listen", "127.0.0.1:0", *more) as up:
        up.says("token=")
        url, token = re.findall(r"open (https?://\S+)/\?token=(\S+)", up.err())[0]
        yield url, token


def test_a_hub_with_a_certificate_below_a_base_path(weir: Weir) -> None:
    authority = trustme.CA()
    made = authority.issue_cert("127.0.0.1")
    key, chain, root = (weir.folder / name for name in ("key.pem", "chain.pem", "root.pem"))
    made.private_key_pem.write_to_path(key)
    chain.write_bytes(b"".join(part.bytes() for part in made.cert_chain_pems))
    authority.cert_pem.write_to_path(root)
    files = ("--hub.tls-cert-file", str(chain), "--hub.tls-key-file", str(key), "--hub.base-path", "/seen")
    with running_hub(weir, *files) as (url, token):
        whole = f"{url}/?token={token}"
        told(weir("stats", "--hub", whole), 7, "a certificate that is not trusted here", "SSL_CERT_FILE")
        trusting = {"SSL_CERT_FILE": str(root)}
        assert url.endswith("/seen")
        for argv in (["stats"], ["tap", "--last", "1", "--no-follow"], ["export", "--limit", "1"]):
            done = weir(*argv, "--hub", whole, env=trusting)
            assert done.code == 0, done.err
        told(weir("map", "--hub", whole.replace("/seen", ""), env=trusting), 7, "answered 404", "with its base path")


@pytest.mark.parametrize("command", ["tap", "status"])
def test_a_wrong_token(weir: Weir, command: str) -> None:
    with running_hub(weir) as (url, _):
        done = weir(command, "--hub", url, "--token", "wrong-wrong-wrong")
    told(done, 7, f"the hub at {url} refuses this token", "WEIR_TOKEN")
    assert len(done.err.splitlines()) == 2


def test_the_token_is_found_in_every_way(weir: Weir) -> None:
    with running_hub(weir) as (url, token):
        ways: list[tuple[list[str], dict[str, str]]] = [
            (["--hub", f"{url}/?token={token}"], {}), (["--hub", url, "--token", token], {}),
            (["--hub", url], {"WEIR_TOKEN": token}), (["--hub", url], {}), ([], {"WEIR_HUB": url}),
        ]
        for argv, env in ways:
            done = weir("status", *argv, env=env)
            assert (done.code, done.err) == (0, ""), argv
            assert done.out.startswith("weir is ")
        # Nobody else's files are read, so nobody else's token is found.
        assert weir("status", "--hub", url, "--instance", "other").code == 7


FULL = "mount -t tmpfs -o size=1m tmpfs data && (dd if=/dev/zero of=data/fill bs=1k 2>/dev/null; true) && exec \"$@\""
IN_FULL_DISK = ["unshare", "-m", "sh", "-c", FULL, "sh"]


@root
@needs_root
@pytest.mark.parametrize("archive", ["memory", "chdb"])
def test_a_full_disk_at_the_start(weir: Weir, archive: str) -> None:
    (weir.folder / "data").mkdir()
    done = weir(
        "up", "-f", str(RECORDING), "--listen", "127.0.0.1:0", "--data", "data", "--archive", archive,
        before=IN_FULL_DISK,
    )
    assert done.code in (6, 7)
    line, hint = done.message()
    assert "data" in line
    assert "No space left on device" in line
    assert hint.startswith("hint: ")


def test_a_full_disk_behind_the_standard_output(weir: Weir) -> None:
    done = weir("read", str(RECORDING), before=["sh", "-c", 'exec "$@" >/dev/full', "sh"])
    told(done, 1, "nothing more can be written: No space left on device", "make room")


def test_a_data_folder_that_cannot_be_made(weir: Weir) -> None:
    (weir.folder / "file").write_text("")
    done = weir("up", "-f", str(RECORDING), "--listen", "127.0.0.1:0", "--data", "file/data")
    told(done, 7, "file/data", "--data")


def fill_up(file: Path) -> None:
    """Take all the room that a file system has."""
    with file.open("wb", buffering=0) as out, contextlib.suppress(OSError):
        for _ in range(40 << 8):
            out.write(bytes(1 << 12))
    assert file.stat().st_size < 40 << 20


@root
@needs_root
@pytest.mark.chdb
def test_a_disk_that_fills_up_later_costs_time_and_no_entry(weir: Weir) -> None:
    """Entries wait on the bus, `weir status` tells why, and all are stored when there is room again."""
    pytest.importorskip("chdb", reason="needs the extra `embedded`")
    (weir.folder / "data").mkdir()
    mounted = ["unshare", "-m", "sh", "-c", 'mount -t tmpfs -o size=40m tmpfs data && exec "$@"', "sh"]
    argv = ["up", "-f", "-", "--data", "data", "--archive", "chdb", "--listen", "127.0.0.1:0"]
    with weir.start(*argv, "--store.listen", "127.0.0.1:0", before=mounted, stdin=subprocess.PIPE) as up:
        feed = up.process.stdin
        assert feed is not None
        up.says("token=")
        url, token = re.findall(r"open (http://\S+)/\?token=(\S+)", up.err())[0]

        def status() -> str:
            return weir("status", "--hub", url, "--token", token).out

        up.until(lambda: "store.archive: embedded" in status())
        # The private mount, seen from outside of its namespace.
        fill = Path(f"/proc/{up.process.pid}/root{weir.folder}/data/fill")
        fill_up(fill)
        feed.write(RECORDING.read_bytes())
        feed.flush()
        up.until(lambda: "archive away, entries wait" in status())
        fill.unlink()
        up.until(lambda: "archive away" not in status())
        up.interrupt()
        done = up.end()
    assert done.code == 0
    decoded, stored = (int(re.findall(rf"(\d+) entries {what}", done.err)[0]) for what in ("decoded", "stored"))
    assert decoded == stored > 200
    assert "nothing was lost" in done.err
