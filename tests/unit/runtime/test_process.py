from __future__ import annotations

import pytest

from weir.bus.joined import JoinedBus
from weir.bus.kafka import KafkaBus
from weir.bus.memory import MemoryBus
from weir.bus.settings import BusSettings
from weir.cli.stages import STAGES
from weir.errors import SettingsError
from weir.runtime.process import load_settings, open_bus, own_ends


def test_weirs_own_ends_are_known() -> None:
    loaded = load_settings(
        list(STAGES.values()),
        {"bus.url": "kafka-1:9092,kafka-2:9092", "hub.listen": "127.0.0.1:8899", "store.archive": "http://u:p@ch:8123/weir"},
        environ={},
    )
    ends = own_ends(loaded)
    assert {"kafka-1:9092", "kafka-2:9092", "127.0.0.1:8899", "ch:8123"} <= set(ends)
    assert "memory" not in ends


def test_short_names_of_the_environment() -> None:
    loaded = load_settings(list(STAGES.values()), environ={"WEIR_TOKEN": "t", "WEIR_INSTANCE": "blue"})
    assert loaded["hub"].token == "t"
    assert loaded["runtime"].instance == "blue"


@pytest.mark.parametrize("name", ["Upper", "-a", "a_b", "a" * 40, ""])
def test_an_instance_is_a_name_for_topics_and_groups(name: str) -> None:
    with pytest.raises(SettingsError, match=r"runtime\.instance"):
        load_settings([], {"runtime.instance": name}, environ={})


def test_a_misspelt_variable_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    load_settings(list(STAGES.values()), environ={"WEIR_CAPTURE_INTERFACE": "lo", "WEIR_CACHE": "/x"})
    assert "did you mean WEIR_CAPTURE_INTERFACES?" in capsys.readouterr().err


def test_stages_of_one_process_are_joined_in_memory_where_nobody_else_needs_their_topics() -> None:
    kafka = BusSettings(url="kafka:9092")
    assert isinstance(open_bus(BusSettings(), "weir"), MemoryBus)
    assert isinstance(open_bus(kafka, "weir", [STAGES["filter"], STAGES["decode"]]), KafkaBus)
    assert isinstance(open_bus(kafka, "weir", [STAGES["capture"], STAGES["filter"]]), JoinedBus)
