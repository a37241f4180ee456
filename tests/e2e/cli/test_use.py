"""How the command line behaves in a shell: pipes, ^C, colour, JSON, and everything that prints without a server."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from weir.bus.topics import TOPICS
from weir.cli.demo import RECORDING
from weir.cli.stages import STAGES
from weir.testing.command import Running, Weir

ROOT = Path(__file__).parents[3]


def test_a_table_is_readable_without_colour(weir: Weir) -> None:
    done = weir("read", str(RECORDING))
    assert done.code == 0
    head, *rows = done.out.splitlines()
    assert head.split() == ["TIME", "SOURCE", "TARGET", "PROTOCOL", "LATENCY", "SIZE", "SUMMARY"]
    assert "\x1b" not in done.out
    assert all(len(row) <= 160 for row in rows)
    assert any("GET /products → 200" in row for row in rows)
    assert any(" ! " in row for row in rows), "a call that failed is marked by more than a colour"
    assert re.search(r"weir: 840 packets read; entries: .*\d+ http", done.err)
    assert "weir: nothing was lost" in done.err


def test_several_files_one_after_the_other(weir: Weir) -> None:
    once = weir("read", str(RECORDING), "-o", "json")
    (weir.folder / "again.pcap").write_bytes(RECORDING.read_bytes())
    twice = weir("read", str(RECORDING), "again.pcap", "-o", "json")
    entries = [json.loads(line) for line in twice.out.splitlines()]
    assert len(entries) == 2 * len(once.out.splitlines())
    assert {entry["node_name"] for entry in entries} == {"recording", "again"}
    assert "1,680 packets read" in twice.err


def test_the_standard_input_gives_what_the_file_gives(weir: Weir) -> None:
    def told(text: str) -> list[tuple[str, str]]:
        return sorted((entry["timestamp"], entry["summary"]) for entry in map(json.loads, text.splitlines()))

    file = weir("read", str(RECORDING), "-o", "json")
    assert told(weir("read", "-", "-o", "json", stdin=RECORDING.read_bytes()).out) == told(file.out)


def test_quiet_prints_entries_alone(weir: Weir) -> None:
    done = weir("read", str(RECORDING), "-q", "--protocol", "dns", "-o", "json")
    assert done.err == ""
    assert {json.loads(line)["protocol"] for line in done.out.splitlines()} == {"dns"}


def test_a_target_narrows_a_file(weir: Weir) -> None:
    done = weir("read", str(RECORDING), "-t", "port:53", "-o", "json")
    assert {json.loads(line)["dst"]["port"] for line in done.out.splitlines()} == {53}
    assert "packets left out: " in done.err


def test_names_are_shown(weir: Weir) -> None:
    done = weir("read", str(RECORDING), "--name", "127.7.0.11:8080=catalog.shop")
    assert "catalog.shop:8080" in done.out


@pytest.mark.parametrize("form", ["table", "json", "full"])
def test_a_reader_of_a_pipe_that_leaves_is_no_error(weir: Weir, form: str) -> None:
    """More than a pipe holds, so that the writer is still writing when the reader has left."""
    files = " ".join([str(RECORDING)] * 3)
    command = f"{sys.executable} -m weir.cli read {files} -o {form} | head -n 1; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], env=weir.env, capture_output=True, text=True, timeout=60, check=True)
    *_, code = done.stdout.splitlines()
    assert (code, done.stderr) == ("0", "")


def on_a_terminal(weir: Weir, *argv: str, **env: str) -> str:
    """What it prints on a terminal."""
    main, end = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "weir.cli", *argv], env=weir.env | env, stdin=subprocess.DEVNULL, stdout=end,
        stderr=subprocess.DEVNULL,
    ) as process:
        os.close(end)
        told = b""
        while True:
            try:
                told += os.read(main, 65536)
            except OSError:
                break
        os.close(main)
        assert process.wait(30) == 0
    return told.decode()


def test_colour_on_a_terminal_and_none_where_it_is_not_wanted(weir: Weir) -> None:
    argv = ("read", str(RECORDING), "-q")
    assert "\x1b[31m" in on_a_terminal(weir, *argv, TERM="xterm")
    assert "\x1b" not in on_a_terminal(weir, *argv, TERM="xterm", NO_COLOR="1")
    assert "\x1b" not in on_a_terminal(weir, *argv, TERM="dumb")
    assert "\x1b" not in on_a_terminal(weir, *argv, "--color", "never", TERM="xterm")
    assert "\x1b[31m" in weir(*argv, "--color", "always").out


def test_a_terminal_that_shows_no_unicode(weir: Weir) -> None:
    done = weir("read", str(RECORDING), env={"PYTHONIOENCODING": "ascii"})
    assert done.code == 0
    assert "GET /products \\u2192 200" in done.out


def stopped(running: Running, number: signal.Signals = signal.SIGINT) -> None:
    running.process.send_signal(number)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_read_of_a_long_input_ends_with_what_it_has_seen(weir: Weir, number: signal.Signals) -> None:
    with weir.start("read", "-", "-o", "json", stdin=subprocess.PIPE) as reading:
        assert reading.process.stdin is not None
        reading.process.stdin.write(RECORDING.read_bytes())
        reading.process.stdin.flush()
        reading.until(lambda: reading.out().count("\n") > 50)
        stopped(reading, number)
        done = reading.end(10)
    assert done.code == 130
    assert "weir: 840 packets read; entries: " in done.err
    assert "Traceback" not in done.err
    assert {json.loads(line)["protocol"] for line in done.out.splitlines()} >= {"http", "grpc", "dns", "tcp"}


def test_up_ends_with_what_was_seen_and_lost(weir: Weir) -> None:
    with weir.start("up", "-f", str(RECORDING), "--listen", "127.0.0.1:0", "--runtime.log-level", "error") as up:
        up.says("open http://127.0.0.1:")
        token = re.findall(r"token=(\S+)", up.err())[0]
        up.interrupt()
        done = up.end()
    assert done.code == 0
    assert "weir: 840 packets captured" in done.err
    assert "entries stored" in done.err
    assert "weir: nothing was lost" in done.err
    assert "Traceback" not in done.err
    assert token not in done.out
    assert len((weir.folder / ".local/share/weir/hub.token").read_text().strip()) >= 24
    assert (weir.folder / ".local/share/weir/hub.token").stat().st_mode & 0o777 == 0o600


def test_without_a_target_up_says_what_is_missing(weir: Weir) -> None:
    with weir.start(
        "up", "--capture.source", "pcap", "--capture.files", str(RECORDING), "--listen", "127.0.0.1:0"
    ) as up:
        up.says("connections only, no payload; add --target all")
        up.interrupt()
        assert up.end().code == 0


def test_tap_follows_and_ends_with_what_was_shown(weir: Weir) -> None:
    """A capture that is fed bit by bit is the live traffic."""
    data = RECORDING.read_bytes()
    with weir.start("up", "-f", "-", "--listen", "127.0.0.1:0", stdin=subprocess.PIPE) as up:
        feed = up.process.stdin
        assert feed is not None
        up.says("token=")
        url = re.findall(r"open (http://\S+)/\?token=", up.err())[0]
        with (
            weir.start("tap", "--hub", url) as table,
            weir.start("tap", "--hub", url, "-o", "json", "--limit", "3") as few,
        ):
            for tap in (table, few):
                tap.says(f"following {url}")
            feed.write(data)
            feed.flush()
            assert few.end().code == 0
            assert [json.loads(line)["v"] for line in few.out().splitlines()] == [1, 1, 1]
            assert "weir: 3 entries shown" in few.err()
            table.until(lambda: "→ 200" in table.out())
            table.interrupt()
            done = table.end()
            assert done.code == 0
            assert re.search(r"weir: \d+ entries shown", done.err)
            assert "Traceback" not in done.err
        with weir.start("tap", "--hub", url) as left:
            left.says(f"following {url}")
            up.interrupt()
            up.end()
            done = left.end()
            assert done.code == 7
            assert done.message()[0].endswith("ended the connection")


def test_status_tells_of_each_process(weir: Weir) -> None:
    with weir.start("up", "-f", str(RECORDING), "--listen", "127.0.0.1:0") as up:
        up.says("token=")
        url = re.findall(r"open (http://\S+)/\?token=", up.err())[0]
        up.until(lambda: all(mode in weir("status", "--hub", url).out for mode in ("store.archive", "capture.source")))
        told = json.loads(weir("status", "--hub", url, "-o", "json").out)
        text = weir("status", "--hub", url).out
    [process] = told["processes"]
    assert process["process"] in text
    assert "capture.source: " in text
    assert "CPU in" in text


def test_topology_is_what_the_stages_declare(weir: Weir) -> None:
    text = weir("topology").out
    assert all(name in text for name in STAGES)
    assert "makes weir.packets" in text
    assert "weir.entries" in weir("topology", "-o", "mermaid").out
    told = json.loads(weir("topology", "-o", "json").out)
    assert [stage["stage"] for stage in told] == list(STAGES)
    assert "prod.entries" in weir("topology", "--instance", "prod").out


def test_topology_is_the_block_of_the_readme(weir: Weir) -> None:
    blocks = re.findall(r"```\n(.*?)```", (ROOT / "README.md").read_text(), re.S)
    assert weir("topology").out in blocks


def test_declared_topics_need_no_kafka(weir: Weir) -> None:
    done = weir("topics", "--declared")
    assert (done.code, done.err) == (0, "")
    assert [line.split()[0] for line in done.out.splitlines()] == [f"weir.{topic.name}" for topic in TOPICS]
    assert [row["topic"] for row in json.loads(weir("topics", "--declared", "-o", "json").out)] == [
        f"weir.{topic.name}" for topic in TOPICS
    ]


@pytest.mark.parametrize("argv", [["version"], ["--version"], ["-V"]])
def test_version(weir: Weir, argv: list[str]) -> None:
    assert re.match(r"weir +\d+\.\d+\.\d+\npython +3\.", weir(*argv).out)


def test_version_for_programs(weir: Weir) -> None:
    assert json.loads(weir("version", "-o", "json").out)["weir"][0].isdigit()


@pytest.mark.parametrize("stage", STAGES)
def test_every_stage_is_a_module_of_its_own(weir: Weir, stage: str) -> None:
    """It gets as far as its settings, which are wrong."""
    done = weir(module=f"weir.{stage}", env={"WEIR_BUS_SHARDS": "none"})
    assert done.code == 2
    assert "bus.shards = 'none' (environment WEIR_BUS_SHARDS)" in done.err


ELSEWHERE = """
import sys, socket, select, fcntl, os
import asyncio, aiohttp, urllib.request  # what others choose by the platform, at their import
for module, names in {
    socket: ("AF_PACKET", "PF_PACKET", "AF_NETLINK", "SOL_PACKET"), select: ("epoll",),
    fcntl: ("F_SETPIPE_SZ", "F_GETPIPE_SZ"), os: ("eventfd", "sched_getaffinity", "pidfd_open"),
}.items():
    for name in names:
        if hasattr(module, name):
            delattr(module, name)
sys.platform = "darwin"
from weir.cli.main import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.parametrize(
    "argv",
    [["read", str(RECORDING)], ["tap", "--help"], ["status", "--help"], ["run", "--help"], ["topics", "--declared"]],
)
def test_where_linux_is_missing_reading_works(weir: Weir, argv: list[str]) -> None:
    """Names that only Linux has are gone; a real macOS is not at hand."""
    done = subprocess.run(
        [sys.executable, "-c", ELSEWHERE, *argv], env=weir.env, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr


def test_where_linux_is_missing_live_capture_says_so(weir: Weir) -> None:
    done = subprocess.run(
        [sys.executable, "-c", ELSEWHERE, "up", "--listen", "127.0.0.1:0"], env=weir.env, capture_output=True,
        text=True, timeout=60,
    )
    assert done.returncode == 3
    assert "which only Linux has" in done.stderr
    assert "tcpdump -w - | weir read -" in done.stderr
