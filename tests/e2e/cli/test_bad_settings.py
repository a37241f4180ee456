"""Settings of wrong type or name: path, value, origin and the nearest valid name; exit code 2."""

from __future__ import annotations

import json

import pytest

from weir.testing.command import Weir


@pytest.mark.parametrize(
    ("argv", "env", "said", "hint"),
    [
        (["up", "--capture.snaplen", "many"], {}, "capture.snaplen = 'many' (flag --capture.snaplen)", "64 to 262144"),
        (["up", "--capture.snaplen", "3"], {}, "capture.snaplen = '3'", "64 to 262144"),
        (["up"], {"WEIR_CAPTURE_SNAPLEN": "x"}, "'x' (environment WEIR_CAPTURE_SNAPLEN)", "64 to 262144"),
        (["up", "--runtime.log-level", "loud"], {}, "runtime.log_level = 'loud'", "debug | info | warning | error"),
        (["up", "--runtime.instance", "No Way"], {}, "runtime.instance = 'No Way'", "topic prefix"),
        (["up", "--capture.snaplne", "3"], {}, "no option --capture.snaplne", "did you mean --capture.snaplen?"),
        (["up", "--target", "prot:80"], {}, "targets.static: not a target: 'prot:80'", "`port:80`"),
        (["up", "--target", "port:99999"], {}, "not a port in the target 'port:99999'", "1 to 65535"),
        (["up", "--name", "web"], {}, "targets.names: 'web' is no name", "ADDRESS[:PORT]=NAME"),
        (["up", "--listen", "everywhere"], {}, "hub.listen = 'everywhere' is not HOST:PORT", "127.0.0.1:9100"),
        (["up", "--archive", "papyrus"], {}, "archive: 'papyrus' is no archive", "memory, chdb"),
        (["up", "--archive", "http://h/1-2"], {}, "is no name of a database", "letters, digits"),
        (["up", "--capture.source", "telepathy", "-f", "x"], {}, "no source 'telepathy'", "af_packet, pcap"),
        (["up", "--config", "none.yaml"], {}, "none.yaml: No such file", "--config names a YAML file"),
        (["read", "x", "-t", "prot:80"], {}, "targets.static: not a target: 'prot:80'", "`port:80`"),
        (["read", "x", "--decode.max-flows", "0"], {}, "decode.max_flows = '0'", "decode.max_flows takes"),
        (["read"], {}, "no file is named", "weir read capture.pcap"),
        (["read", "-", "-"], {}, "standard input can be read only once", "name - once"),
        (["run"], {}, "no stage is named", "capture, filter"),
        (["run", "decoder"], {}, "there is no stage 'decoder'", "did you mean decode?"),
        (["run", "decode"], {}, "decode without the other stages needs Kafka", "--bus.url HOST:PORT"),
        (["run", "store", "hub"], {}, "without the other stages needs Kafka", "`weir up`"),
        (["run", "decode", "--hub.listen", "x"], {}, "hub.listen is a setting of a stage", "leave it out"),
        (["run", "store", "--bus.url", "k:1"], {}, "`memory` lives in one process", "weir run store hub"),
        (["run", "decode", "--bus.url", "k:1", "--bus.security-protocol", "SASL_SSL"], {}, "bus.username", "SASL"),
        (["raed", "x"], {}, "there is no command 'raed'", "did you mean `weir read`?"),
        (["zzz"], {}, "there is no command 'zzz'", "`weir --help`"),
        (["topics"], {}, "no Kafka is named", "WEIR_BUS_URL"),
        (["tap", "--hub", "ftp://x"], {}, "'ftp://x' is no address of a hub", "http://127.0.0.1:8899"),
        (["tap", "--hub", "http://x:y"], {}, "'http://x:y' is no address of a hub", "http://127.0.0.1:8899"),
        (["up", "-f", "x"], {"WEIR_TOKEN": "short"}, "hub.token: a token is 12 to 512", "leave it out"),
        (["up"], {"WEIR_HUB_TOKEN_FILE": "/none"}, "WEIR_HUB_TOKEN_FILE: cannot read /none", "holds the value"),
    ],
)
def test_one_line_a_hint_and_exit_code_2(
    weir: Weir, argv: list[str], env: dict[str, str], said: str, hint: str
) -> None:
    done = weir(*argv, env=env)
    assert (done.code, done.out) == (2, "")
    line, told = done.err.splitlines()
    assert line.startswith("weir: ")
    assert said in line
    assert told.startswith("hint: ")
    assert hint in told


@pytest.mark.parametrize(
    ("text", "said", "hint"),
    [
        ("captur:\n  snaplen: 100\n", "unknown section 'captur'", "did you mean capture?"),
        ("capture:\n  snaplne: 100\n", "unknown setting capture.snaplne", "did you mean snaplen?"),
        ("capture:\n  snaplen: [1]\n", "capture.snaplen = ", "64 to 262144"),
        ("capture: 5\n", "section 'capture' is not a mapping", "below capture:"),
        ("capture: {", "not YAML", "write `capture:`"),
        ("- a\n", "not a mapping of sections", "write `capture:`"),
        ("zzz:\n  a: 1\n", "unknown section 'zzz'", "sections are bus, capture"),
        ("bus:\n  zzz: 1\n", "unknown setting bus.zzz", "settings of bus are url, shards"),
    ],
)
def test_a_wrong_file_of_settings(weir: Weir, text: str, said: str, hint: str) -> None:
    (weir.folder / "weir.yaml").write_text(text)
    done = weir("read", "x.pcap", "--config", "weir.yaml")
    assert done.code == 2
    line, told = done.err.splitlines()
    assert line.startswith("weir: weir.yaml: ") or "(file weir.yaml)" in line
    assert said in line
    assert hint in told


def test_a_misspelt_variable_is_told_and_does_no_harm(weir: Weir) -> None:
    done = weir("config", "capture", env={"WEIR_CAPTURE_SNAPLNE": "100"})
    assert done.code == 0
    assert done.err == "weir: WEIR_CAPTURE_SNAPLNE is no setting of weir: did you mean WEIR_CAPTURE_SNAPLEN?\n"


def test_variables_of_other_stages_and_of_kubernetes_are_no_mistakes(weir: Weir) -> None:
    env = {
        "WEIR_STORE_ARCHIVE": "chdb", "WEIR_HUB_PORT": "tcp://10.0.0.1:80", "WEIR_HUB_SERVICE_HOST": "10.0.0.1",
        "WEIR_KAFKA_PORT_9092_TCP_ADDR": "10.0.0.2",
    }
    assert weir("topics", "--declared", env=env).err == ""


def test_origins_and_secrets(weir: Weir) -> None:
    (weir.folder / "weir.yaml").write_text("capture:\n  snaplen: 100\n  rings: 2\nbus:\n  password: hush\n")
    env = {"WEIR_CAPTURE_SNAPLEN": "200", "WEIR_TOKEN": "hush-hush-hush-hush"}
    done = weir("config", "--config", "weir.yaml", "--capture.rings", "4", "--capture.node", "n", env=env)
    lines = dict(line.split(" = ", 1) for line in done.out.splitlines())
    assert lines["capture.snaplen"] == "200    (environment WEIR_CAPTURE_SNAPLEN)"
    assert lines["capture.rings"] == "4    (flag --capture.rings)"
    assert lines["capture.ring"] == "-1    (default)"
    assert lines["bus.password"] == "***    (file weir.yaml)"
    assert lines["hub.token"] == "***    (environment WEIR_TOKEN)"
    assert "hush" not in done.out
    told = json.loads(weir("config", "hub", "-o", "json", env=env).out)
    token = next(row for row in told if row["name"] == "hub.token")
    assert (token["value"], token["origin"]) == ("***", "environment WEIR_TOKEN")
    assert {row["name"].split(".")[0] for row in told} == {"hub"}
    assert all(row["doc"] and row["type"] and row["flag"] and row["env"] for row in told)


def test_what_config_explains(weir: Weir) -> None:
    done = weir("config", "capture", "--explain")
    assert "--capture.ring-blocks  WEIR_CAPTURE_RING_BLOCKS" in done.out
    assert "int, 2 to 4096" in done.out
