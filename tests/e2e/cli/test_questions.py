"""Filters, history, statistics and the map on the command line: of files, and of a hub that shows the same file."""

from __future__ import annotations

import csv
import fcntl
import io
import json
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from weir.cli.demo import RECORDING
from weir.cli.render.text import width
from weir.testing.command import Running, Weir

FILE = str(RECORDING)


def rows(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def read(weir: Weir, *argv: str) -> list[dict[str, Any]]:
    done = weir("read", FILE, "-q", "-o", "json", *argv)
    assert (done.code, done.err) == (0, "")
    return rows(done.out)


@pytest.fixture
def hub(weir: Weir) -> Iterator[tuple[Running, str]]:
    """A hub that holds the recording, and its URL with the token."""
    with weir.start("up", "-f", FILE, "--listen", "127.0.0.1:0", "--runtime.heartbeat-s", "0.2") as up:
        up.says("token=")
        url = re.findall(r"open (http://\S+)", up.err())[0]
        kept = len(read(weir))
        up.until(lambda: sum(one["entries"] for one in rows(weir("stats", "--hub", url, "-o", "json").out)) == kept)
        yield up, url


def test_a_filter_on_a_file(weir: Weir) -> None:
    found = read(weir, "--filter", 'http && status_code >= 500 && path.startsWith("/orders")')
    assert found
    assert all(one["status_code"] >= 500 and one["path"].startswith("/orders") for one in found)
    assert len(found) < len([one for one in read(weir) if one.get("status_code", 0) >= 500])


def test_a_filter_that_asks_for_flows_shows_them(weir: Weir) -> None:
    assert "tcp closed" in weir("read", FILE, "-q", "--filter", "conn").out
    assert "tcp closed" not in weir("read", FILE, "-q", "--filter", "dst.port == 8080").out


def test_reading_ends_at_a_limit(weir: Weir) -> None:
    done = weir("read", FILE, "--limit", "3", "--text", "items")
    assert len(done.out.splitlines()) == 4
    assert "stopped after 3 entries" in done.err
    assert done.code == 0


WRONG = [
    ("http && statu >= 500", "statu", 'unknown field "statu"', "status_code"),
    ("http &&", "", "ends too early", "expected"),
    ("path = '/x'", "=", "unexpected `=`", "`==`"),
    ("path.matches('(')", "'('", "", ""),
    ("1 + 'a'", "", "`+` is not for", ""),
    ("status_code", "status_code", "a filter is true or false", ""),
    ("f" * 5000, "", "longer than 4,096 characters", "macros"),
    ("!" * 100 + "http", "", "nested too deeply", "macros"),
    ("path == '\x1b]0;owned\x07' && x", "x", "unknown field", ""),
]


@pytest.mark.parametrize(("text", "part", "said", "hint"), WRONG)
def test_a_wrong_filter_is_shown_with_its_place(weir: Weir, text: str, part: str, said: str, hint: str) -> None:
    done = weir("read", FILE, "--filter", text)
    refused(done.code, done.out, done.err, part, said, hint)


def refused(code: int, out: str, err: str, part: str, said: str, hint: str) -> None:
    assert (code, out) == (2, "")
    first, shown, mark, *rest = err.splitlines()
    assert first.startswith("weir: ")
    assert said in first
    assert set(mark.strip()) == {"^"}
    if part:
        assert shown[mark.index("^") : mark.rindex("^") + 1] == part
    assert all(line.startswith("hint: ") for line in rest)
    assert hint in "".join(rest)
    assert all(c.isprintable() or c == "\n" for c in err)
    assert max(map(len, err.splitlines())) < 200


def test_the_hub_and_the_file_count_alike(weir: Weir, hub: tuple[Running, str]) -> None:
    _, url = hub
    for by in ("protocol", "src.ip,dst.ip", "status_code / 100", 'request.headers["host"]', "target,method,path"):
        asked: tuple[str, ...] = ("--by", by, "-o", "json", "--limit", "0")
        of_hub = weir("stats", "--hub", url, *asked)
        of_file = weir("stats", FILE, "-q", *asked)
        assert (of_hub.code, of_hub.err, of_file.err) == (0, "", "")
        assert rows(of_hub.out) == rows(of_file.out)
        assert len(rows(of_file.out)) > 2
    for more in (("--filter", "http && failed"), ("--protocol", "dns"), ("--text", "items"), ("--bucket", "5s")):
        asked = ("--by", "src.ip,path", "-o", "json", "--limit", "0", *more)
        assert rows(weir("stats", "--hub", url, *asked).out) == rows(weir("stats", FILE, "-q", *asked).out)
    for group in ("pod", "workload", "service", "namespace", "node"):
        drawn = [json.loads(weir("map", *where, "-q", "--group", group, "-o", "json").out) for where in
                 (["--hub", url], [FILE])]
        # Until when they looked differs: a file ends with its last entry.
        assert drawn[0] | {"until_ns": 0} == drawn[1] | {"until_ns": 0}
        assert drawn[0]["edges"]


def test_what_is_counted_is_what_was_read(weir: Weir) -> None:
    entries = read(weir)
    [http] = rows(weir("stats", FILE, "-q", "--by", "protocol", "--filter", "http", "-o", "json").out)
    calls = [one for one in entries if one["protocol"] == "http"]
    assert http["count"] == len(calls)
    assert http["errors"] == sum(one["ok"] is False for one in calls)
    assert http["bytes"] == sum(one[side]["size"] for one in calls for side in ("request", "response"))
    latest = sorted(one["elapsed_time"] for one in calls if one.get("elapsed_time"))
    assert http["p50_us"] == latest[(len(latest) + 1) // 2 - 1]
    assert sum(one["flows"] for one in rows(weir("stats", FILE, "-q", "-o", "json").out)) == sum(
        one["kind"] == "flow" for one in entries
    )


def test_groups_may_be_ordered(weir: Weir) -> None:
    for key, column in (("p95", "p95_us"), ("errors", "errors"), ("bytes", "bytes")):
        told = rows(weir("stats", FILE, "-q", "--by", "path", "--filter", "http", "--sort", key, "-o", "json").out)
        assert [one[column] for one in told] == sorted((one[column] for one in told), reverse=True)


def test_times_of_a_file_count_back_from_its_end(weir: Weir) -> None:
    times = sorted(one["timestamp"] for one in read(weir))
    near = [at for at in times if at >= times[-1] + 1 - 2 * 10**9]
    told = rows(weir("stats", FILE, "-q", "--last", "2s", "-o", "json").out)
    assert 0 < sum(one["entries"] for one in told) == len(near) < len(times)
    early = weir("stats", FILE, "-q", "--since", "2001-01-01", "--until", "2002-01-01")
    assert (early.code, early.out) == (0, "")
    assert early.err.startswith("weir: nothing fits")


def test_statistics_for_a_spreadsheet(weir: Weir) -> None:
    told = list(csv.DictReader(io.StringIO(weir("stats", FILE, "-q", "--by", "path", "-o", "csv").out)))
    assert {"path", "count", "errors", "p50_us", "p95_us", "p99_us", "bytes", "flows", "flow_bytes"} <= set(told[0])
    assert any(one["path"] == "/checkout" for one in told)


@pytest.mark.parametrize(
    ("argv", "said", "hint"),
    [
        (["read", "x.pcap", "--fields", "path"], "--fields is not for table", "-o json"),
        (["read", "x.pcap", "-o", "csv", "--fields", "pth"], "unknown field 'pth'", "path"),
        (["read", "x.pcap", "-o", "har", "--fields", "path"], "HAR has fields of its own", "-o csv"),
        (["export", "-o", "pcap"], "there is no 'pcap'", "har"),
        (["export", "--limit", "0"], "--limit 0 exports nothing", "1 or more"),
        (["tap", "--order", "fastest"], "there is no 'fastest'", "slowest"),
        (["stats", "x.pcap", "--by", "statu"], "'statu'", "status_code"),
        (["stats", "x.pcap", "--by", "request.headers"], "cannot be grouped", "request.headers["),
        (["stats", "x.pcap", "--bucket", "often"], "--bucket 'often' is no width", "10s"),
        (["stats", "x.pcap", "--last", "5"], "--last 5 is no time span", "15m"),
        (["stats", "x.pcap", "--since", "soon"], "--since 'soon' is no time", "15m"),
        (["stats", "x.pcap", "--sort", "p96"], "there is no 'p96'", "did you mean p9"),
        (["stats", "-t", "port:80"], "--target is for files", "--filter"),
        (["map", "x.pcap", "--group", "servce"], "there is no 'servce'", "service"),
        (["map", "x.pcap", "-o", "svg"], "there is no 'svg'", "mermaid"),
        (["tap", "--last", "many"], "neither a number nor a time span", "15m"),
        (["tap", "--no-follow"], "--no-follow without a history", "--last"),
        (["tap", "--last", "1h", "--since", "2h"], "two beginnings", "one or the other"),
        (["tap", "-l", "app=web", "--last", "1h"], "cannot be looked up by --selector", "--filter"),
    ],
)
def test_wrong_questions(weir: Weir, argv: list[str], said: str, hint: str) -> None:
    done = weir(*argv)
    assert (done.code, done.out) == (2, "")
    line, told = done.err.splitlines()
    assert said in line
    assert hint in told


def test_a_wrong_filter_is_pointed_at_by_the_hub_too(weir: Weir, hub: tuple[Running, str]) -> None:
    _, url = hub
    for command in ("tap", "stats", "map"):
        done = weir(command, "--hub", url, "--filter", "http && statu >= 500")
        refused(done.code, done.out, done.err, "statu", "unknown field", "status_code")
    done = weir("tap", "--hub", url, "--last", "10", "--no-follow", "--filter", "path = 1")
    refused(done.code, done.out, done.err.replace("weir: 0 entries shown\n", ""), "=", "unexpected", "==")


def test_history_is_shown_oldest_first_and_ends(weir: Weir, hub: tuple[Running, str]) -> None:
    _, url = hub
    every = sorted(read(weir), key=lambda one: (one["timestamp"], one["id"]))
    done = weir("tap", "--hub", url, "--since", "2001-01-01", "--no-follow", "-o", "json")
    assert done.code == 0
    assert [one["id"] for one in rows(done.out)] == [one["id"] for one in every]
    assert done.err == f"weir: {len(every)} entries shown\n"
    last = weir("tap", "--hub", url, "--last", "7", "--no-follow", "-o", "json")
    assert [one["id"] for one in rows(last.out)] == [one["id"] for one in every[-7:]]
    until = str(every[20]["timestamp"])
    done = weir("tap", "--hub", url, "--until", until, "--filter", "http", "-o", "json")
    assert [one["id"] for one in rows(done.out)] == [
        one["id"] for one in every if one["protocol"] == "http" and one["timestamp"] < int(until)
    ]
    ends = weir("tap", "--hub", url, "--since", "2001-01-01", "--limit", "5")
    assert len(ends.out.splitlines()) == 6


def test_after_the_history_comes_what_is_live_and_nothing_twice(weir: Weir) -> None:
    """The first half of the recording is history; the other half comes while it is followed."""
    data = RECORDING.read_bytes()
    middle = 24
    for _ in range(420):
        middle += 16 + struct.unpack_from("<I", data, middle + 8)[0]
    with weir.start("up", "-f", "-", "--listen", "127.0.0.1:0", stdin=subprocess.PIPE) as up:
        feed = up.process.stdin
        assert feed is not None
        up.says("token=")
        url = re.findall(r"open (http://\S+)", up.err())[0]
        feed.write(data[:middle])
        feed.flush()
        up.until(lambda: len(rows(weir("stats", "--hub", url, "--by", "id", "--limit", "0", "-o", "json").out)) > 50)
        with weir.start("tap", "--hub", url, "--since", "2001-01-01", "-o", "json") as tap:
            tap.says("following")
            feed.write(data[middle:])
            feed.close()
            calls = weir("read", "-", "-q", "-o", "json", "--protocol", "http", stdin=data)
            wanted = {one["id"] for one in rows(calls.out)}
            tap.until(lambda: wanted <= {one["id"] for one in rows(tap.out().rpartition("\n")[0])})
            tap.interrupt()
            done = tap.end()
    assert done.code == 0
    shown = [(one["id"], one.get("version", 1)) for one in rows(done.out)]
    assert len(shown) == len(set(shown))


def test_an_export_is_what_the_hub_has(weir: Weir, hub: tuple[Running, str]) -> None:
    _, url = hub
    every = read(weir)
    told = weir("export", "--hub", url)
    assert (told.code, told.err) == (0, "")
    assert sorted(one["id"] for one in rows(told.out)) == sorted(one["id"] for one in every)
    few = weir("export", "--hub", url, "--limit", "2", "-o", "csv", "--filter", "http", "--fields", "path,status_code")
    assert [line.count(",") for line in few.out.splitlines()] == [1, 1, 1]
    assert re.search(r"2 of \d+ entries; the others are left out", few.err)
    calls = [one for one in every if one["protocol"] == "http"]
    har = json.loads(weir("export", "--hub", url, "-o", "har", "--filter", "http").out)
    assert len(har["log"]["entries"]) == len(calls)
    slow = weir("tap", "--hub", url, "--order", "slowest", "--filter", "http", "--limit", "4", "-o", "json")
    assert [one["elapsed_time"] for one in rows(slow.out)] == sorted(
        (one.get("elapsed_time", 0) for one in calls), reverse=True
    )[:4]
    done = weir("export", "--hub", url, "--filter", "http && statu")
    refused(done.code, done.out, done.err, "statu", "unknown field", "status_code")


@pytest.mark.parametrize("form", ["csv", "har", "json"])
def test_files_are_written_as_the_hub_exports_them(weir: Weir, form: str) -> None:
    out = weir("read", FILE, "-q", "-o", form, "--filter", "http").out
    calls = len(read(weir, "--filter", "http"))
    found = {
        "csv": lambda: len(list(csv.DictReader(io.StringIO(out)))), "json": lambda: len(rows(out)),
        "har": lambda: len(json.loads(out)["log"]["entries"]),
    }
    assert found[form]() == calls
    nothing = weir("read", FILE, "-q", "-o", form, "--filter", 'path == "/none"').out
    assert {"csv": nothing.startswith("timestamp,"), "har": nothing.startswith("{"), "json": nothing == ""}[form]


def test_part_of_each_entry(weir: Weir) -> None:
    [one, *_] = read(weir, "--filter", "http", "--fields", "path,src.ip")
    assert set(one) == {"id", "timestamp", "path", "src"}
    assert weir("read", FILE, "-q", "-o", "csv", "--fields", "path", "--limit", "1").out.startswith("path\r\n")


def test_the_token_under_both_names(weir: Weir, hub: tuple[Running, str]) -> None:
    _, url = hub
    base, token = url.split("/?token=")
    (weir.folder / ".local/share/weir/hub.token").unlink()
    assert weir("stats", "--hub", base).code == 7
    for name in ("WEIR_TOKEN", "WEIR_HUB_TOKEN"):
        assert weir("stats", "--hub", base, env={name: token}).code == 0


def on_a_terminal(weir: Weir, columns: int, *argv: str) -> str:
    """What is printed on a terminal of so many columns."""
    main, end = pty.openpty()
    fcntl.ioctl(end, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    env = {name: value for name, value in weir.env.items() if name not in ("COLUMNS", "LINES")} | {"TERM": "xterm"}
    with subprocess.Popen(
        [sys.executable, "-m", "weir.cli", *argv], env=env, stdin=subprocess.DEVNULL, stdout=end,
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
        assert process.wait(60) == 0
    return told.decode()


QUESTIONS: list[Sequence[str]] = [
    ("read", FILE, "-q"), ("stats", FILE, "-q", "--by", "src.ip,dst.ip,path"), ("map", FILE, "-q"),
]


@pytest.mark.parametrize("argv", QUESTIONS, ids=lambda argv: argv[0])
@pytest.mark.parametrize("columns", [60, 80, 120])
def test_tables_are_as_wide_as_the_terminal(weir: Weir, argv: Sequence[str], columns: int) -> None:
    lines = on_a_terminal(weir, columns, *argv, "--no-color").splitlines()
    assert len(lines) > 5
    assert max(map(width, lines)) <= columns
    assert all(line.isprintable() for line in lines)


@pytest.mark.parametrize("argv", QUESTIONS, ids=lambda argv: argv[0])
def test_colour_only_where_a_terminal_is(weir: Weir, argv: Sequence[str]) -> None:
    assert "\x1b[31m" in on_a_terminal(weir, 100, *argv)
    assert "\x1b" not in weir(*argv).out
    assert "\x1b" not in weir(*argv, env={"FORCE_COLOR": "1"}).out
    assert "\x1b[31m" in weir(*argv, "--color", "always").out
    assert "\x1b" not in weir(*argv, "--color", "always", "--no-color").out


@pytest.mark.parametrize("command", ["read", "stats", "map"])
def test_a_reader_that_leaves_is_no_error(weir: Weir, command: str) -> None:
    line = f"{sys.executable} -m weir.cli {command} {FILE} -o json | head -c 20; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", line], env=weir.env, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.endswith("0\n")
    assert "Traceback" not in done.stderr
