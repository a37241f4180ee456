from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import msgspec
import pytest

from weir.errors import SettingsError
from weir.settings import load, settings_of
from weir.settings.load import misspelt_environment


class Capture(msgspec.Struct, frozen=True, kw_only=True):
    snaplen: Annotated[int, msgspec.Meta(ge=64, le=262_144, description="Bytes kept of each packet.")] = 65_535
    interfaces: Annotated[list[str], msgspec.Meta(description="Interfaces to read.")] = []
    source: Annotated[Literal["auto", "pcap"], msgspec.Meta(description="Which source.")] = "auto"
    promiscuous: Annotated[bool, msgspec.Meta(description="Promiscuous.")] = False
    ring_blocks: Annotated[int, msgspec.Meta(ge=2, description="Blocks of a ring.")] = 64


class Hub(msgspec.Struct, frozen=True, kw_only=True):
    token: Annotated[str, msgspec.Meta(description="Token.", extra={"secret": True})] = ""


DECLARED: dict[str, type[msgspec.Struct]] = {"capture": Capture, "hub": Hub}


def test_defaults_file_environment_and_flags_in_that_order(tmp_path: Path) -> None:
    file = tmp_path / "weir.yaml"
    file.write_text("capture:\n  snaplen: 100\n  ring-blocks: 8\n  interfaces: [eth0]\n")
    loaded = load(
        DECLARED,
        file=file,
        environ={"WEIR_CAPTURE_SNAPLEN": "200", "WEIR_CAPTURE_INTERFACES": "lo, eth1"},
        flags={"capture.snaplen": "300"},
    )
    assert loaded["capture"].snaplen == 300
    assert loaded["capture"].ring_blocks == 8
    assert loaded["capture"].interfaces == ["lo", "eth1"]
    assert loaded.origins["capture.snaplen"].source == "flag --capture.snaplen"
    assert loaded.origins["capture.ring_blocks"].source == f"file {file}"
    assert loaded.origins["capture.interfaces"].source == "environment WEIR_CAPTURE_INTERFACES"
    assert loaded.origins["capture.source"].source == "default"


def test_an_alias_names_a_setting_in_the_environment() -> None:
    loaded = load(DECLARED, environ={"WEIR_TOKEN": "s3cret"}, aliases={"WEIR_TOKEN": "hub.token"})
    assert loaded["hub"].token == "s3cret"
    assert loaded.settings["hub.token"].shown("s3cret") == "***"


def test_a_secret_may_come_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("abc\n")
    loaded = load(DECLARED, environ={"WEIR_HUB_TOKEN_FILE": str(tmp_path / "token")})
    assert loaded["hub"].token == "abc"


@pytest.mark.parametrize(
    ("raw", "message"),
    [("many", "Expected `int`"), ("12", "Expected `int` >= 64"), ("99999999", "Expected `int` <= 262144")],
)
def test_a_wrong_value_is_told_with_path_value_and_bounds(raw: str, message: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load(DECLARED, flags={"capture.snaplen": raw})
    assert "capture.snaplen" in caught.value.message
    assert raw in caught.value.message
    assert message.split("`")[0] in caught.value.message
    assert "64 to 262144" in caught.value.hint


def test_a_secret_is_not_printed_in_an_error(tmp_path: Path) -> None:
    file = tmp_path / "weir.yaml"
    file.write_text("hub:\n  token: [hush, hush]\n")
    with pytest.raises(SettingsError) as caught:
        load(DECLARED, file=file)
    assert "hush" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("captur:\n  snaplen: 1\n", "unknown section 'captur'", "did you mean capture?"),
        ("capture:\n  snaplne: 100\n", "unknown setting capture.snaplne", "did you mean snaplen?"),
        ("capture: 5\n", "section 'capture' is not a mapping", "below capture:"),
        ("- a\n", "not a mapping of sections", "capture:"),
        ("a: [", "not YAML", ""),
    ],
)
def test_a_wrong_file_is_told_with_the_nearest_name(tmp_path: Path, text: str, message: str, hint: str) -> None:
    file = tmp_path / "weir.yaml"
    file.write_text(text)
    with pytest.raises(SettingsError) as caught:
        load(DECLARED, file=file)
    assert message in caught.value.message
    assert hint in caught.value.hint


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="No such file"):
        load(DECLARED, file=tmp_path / "nothing.yaml")


def test_an_unknown_variable_gets_the_nearest_name() -> None:
    known = [s.env for s in settings_of("capture", Capture)]
    assert misspelt_environment({"WEIR_CAPTURE_SNAPLNE": "1", "HOME": "/"}, known, ["WEIR_CAPTURE_"]) == [
        "WEIR_CAPTURE_SNAPLNE is no setting of weir: did you mean WEIR_CAPTURE_SNAPLEN?"
    ]
    assert misspelt_environment({"WEIR_CAPTURE_SNAPLEN": "1"}, known, ["WEIR_CAPTURE_"]) == []


@pytest.mark.parametrize(
    "name", ["WEIR_STORE_LISTEN", "WEIR_HUB_SERVICE_HOST", "WEIR_DEMO_PORT", "WEIR_HUB_TOKEN_FILE"]
)
def test_what_others_name_is_no_typing_error(name: str) -> None:
    known = ["WEIR_HUB_LISTEN", "WEIR_HUB_TOKEN", "WEIR_RUNTIME_LISTEN"]
    assert misspelt_environment({name: "1"}, known, ["WEIR_HUB_", "WEIR_RUNTIME_"]) == []


def test_one_file_serves_processes_with_other_sections(tmp_path: Path) -> None:
    file = tmp_path / "weir.yaml"
    file.write_text("decode:\n  max_flows: 5\ncapture:\n  snaplen: 100\n")
    assert load(DECLARED, file=file, elsewhere=["decode"])["capture"].snaplen == 100
    with pytest.raises(SettingsError, match="unknown section 'decode'"):
        load(DECLARED, file=file)


def test_names_follow_from_the_declaration() -> None:
    setting = next(s for s in settings_of("capture", Capture) if s.name == "ring_blocks")
    assert (setting.flag, setting.env, setting.path) == (
        "--capture.ring-blocks",
        "WEIR_CAPTURE_RING_BLOCKS",
        "capture.ring_blocks",
    )
    assert setting.bounds == "at least 2"
    assert {s.name: s.type_name for s in settings_of("capture", Capture)} == {
        "snaplen": "int",
        "interfaces": "list of str",
        "source": "auto | pcap",
        "promiscuous": "bool",
        "ring_blocks": "int",
    }
