from __future__ import annotations

import msgspec
import pytest

from weir.bus.admin import Existing, plan, wanted
from weir.bus.settings import BusSettings
from weir.bus.topics import ENDPOINTS, ENTRIES, PACKETS, TOPICS

SETTINGS = BusSettings(url="h:9", shards=4)
WANTS = [wanted(topic, SETTINGS, "weir") for topic in TOPICS]
AS_WANTED = {want.name: Existing(want.partitions, want.config) for want in WANTS}


def test_on_an_empty_cluster_everything_is_created() -> None:
    todo = plan({}, WANTS)
    assert [want.name for want in todo.create] == [f"weir.{topic.name}" for topic in TOPICS]
    assert todo.mismatches == []


def test_what_is_as_declared_is_left_alone() -> None:
    assert plan(AS_WANTED, WANTS) == plan(AS_WANTED, [])


def test_only_sharded_topics_have_shards() -> None:
    assert {want.name.removeprefix("weir."): want.partitions for want in WANTS} == {
        topic.name: 4 if topic.sharded else 1 for topic in TOPICS
    }


def test_a_value_of_the_largest_size_fits_its_topic() -> None:
    for topic, want in zip(TOPICS, WANTS, strict=True):
        assert int(want.config["max.message.bytes"]) > topic.max_bytes


def test_tombstones_outlive_every_record_they_concern() -> None:
    config = wanted(ENDPOINTS, SETTINGS, "weir").config
    assert config["cleanup.policy"] == "compact"
    assert int(config["delete.retention.ms"]) > ENTRIES.retention_s * 1000
    assert int(config["segment.ms"]) <= 3_600_000


def test_segments_are_smaller_than_what_is_retained() -> None:
    config = wanted(PACKETS, SETTINGS, "weir").config
    assert int(config["segment.bytes"]) * 4 <= int(config["retention.bytes"])
    assert int(config["segment.ms"]) < int(config["retention.ms"])


def test_a_small_kafka_keeps_a_share_of_what_is_deleted_and_all_that_is_compacted() -> None:
    small = BusSettings(url="h:9", retention_share=0.25)
    config = wanted(PACKETS, small, "weir").config
    assert int(config["retention.bytes"]) == PACKETS.retention_bytes // 4
    assert int(config["retention.ms"]) == PACKETS.retention_s * 250
    assert int(config["segment.bytes"]) * 4 <= int(config["retention.bytes"])
    assert wanted(ENTRIES, small, "weir").config["retention.ms"] == str(ENTRIES.retention_s * 250)
    assert wanted(ENTRIES, small, "weir").config["retention.bytes"] == "-1"
    assert wanted(ENDPOINTS, small, "weir") == wanted(ENDPOINTS, BusSettings(url="h:9"), "weir")


@pytest.mark.parametrize(
    ("have", "setting", "hint"),
    [
        (Existing(3, AS_WANTED["weir.entries"].config), "partitions", "bus.shards"),
        (Existing(4, AS_WANTED["weir.entries"].config | {"cleanup.policy": "compact"}), "cleanup.policy", "=delete"),
        (Existing(4, AS_WANTED["weir.entries"].config | {"max.message.bytes": "1000"}), "max.message.bytes", "--add-"),
    ],
)
def test_differences_are_named(have: Existing, setting: str, hint: str) -> None:
    [mismatch] = plan(AS_WANTED | {"weir.entries": have}, WANTS).mismatches
    assert mismatch.topic == "weir.entries"
    assert mismatch.setting == setting
    assert hint in mismatch.hint


def test_a_larger_limit_and_other_retention_are_the_operators_choice() -> None:
    config = AS_WANTED["weir.entries"].config | {"max.message.bytes": "99999999", "retention.ms": "1"}
    assert plan(AS_WANTED | {"weir.entries": Existing(4, config)}, WANTS).mismatches == []


def test_three_replicas_survive_the_loss_of_one() -> None:
    safe = wanted(ENTRIES, msgspec.structs.replace(SETTINGS, replication=3), "weir")
    assert safe.config["min.insync.replicas"] == "2"
    assert "min.insync.replicas" not in WANTS[0].config
