"""Stages as their user runs them, with a Kafka that refuses, is away, comes back, or carries garbage."""

from __future__ import annotations

import asyncio
import itertools
from pathlib import Path

import msgpack
import pytest
from aiokafka import AIOKafkaProducer

from weir.bus.topics import DEAD, TOPICS
from weir.cli.demo import RECORDING
from weir.model.health import Heartbeat
from weir.testing.command import Weir
from weir.testing.kafka.realkafka import free_port
from weir.testing.pytest_kafka import PASSWORD, USER, SecuredKafka
from weir.testing.stages import Installation, collect, heartbeats

pytestmark = pytest.mark.kafka
_names = (f"faults{i}" for i in itertools.count())


@pytest.fixture
def weir(tmp_path: Path) -> Weir:
    return Weir(tmp_path)


@pytest.fixture
def installation(kafka: SecuredKafka, tmp_path: Path) -> Installation:
    return Installation(kafka.bootstrap, next(_names), tmp_path / "installation", shards=1)


@pytest.mark.parametrize("command", [["topics"], ["run", "capture", "filter"], ["run", "decode"]])
@pytest.mark.parametrize(
    ("listener", "settings", "reason", "hint"),
    [
        ("sasl", {"PASSWORD": "wrong"}, "user name or password refused", "bus.password"),
        ("saslssl", {"CA_FILE": "other"}, "signed by an unknown CA", "bus.ca_file"),
    ],
)
def test_a_refusal_ends_the_command_with_its_reason(
    kafka: SecuredKafka, weir: Weir, command: list[str], listener: str, settings: dict[str, str], reason: str, hint: str
) -> None:
    protocol = {"sasl": "SASL_PLAINTEXT", "saslssl": "SASL_SSL"}[listener]
    known = {"URL": kafka.at(listener), "SECURITY_PROTOCOL": protocol, "USERNAME": USER, "PASSWORD": PASSWORD}
    if settings.get("CA_FILE") == "other":
        settings = {"CA_FILE": str(kafka.other_ca_file)}
    done = weir(*command, env={f"WEIR_BUS_{name}": value for name, value in (known | settings).items()})
    assert done.code == 5
    line, told = done.message()
    assert line == f"weir: Kafka at {kafka.at(listener)}: " + (
        reason if listener == "sasl" else f"the broker's certificate is {reason}"
    )
    assert told.startswith("hint: ")
    assert hint in told
    assert done.err.count(reason) == 1


def test_topics_without_a_cluster(weir: Weir) -> None:
    port = free_port()
    done = weir("topics", "--bus.url", f"127.0.0.1:{port}")
    assert done.code == 5
    assert done.err == f"weir: Kafka at 127.0.0.1:{port}: connection refused\nhint: is Kafka running there?\n"


def test_topics_are_told_created_and_found(kafka: SecuredKafka, weir: Weir) -> None:
    env = {"WEIR_BUS_URL": kafka.bootstrap, "WEIR_INSTANCE": next(_names)}
    missing = weir("topics", env=env)
    assert missing.code == 5
    assert "missing topics: " in missing.err
    assert "--create" in missing.err
    made = weir("topics", "--create", env=env)
    assert (made.code, made.err) == (0, "")
    assert len(made.out.splitlines()) == len(TOPICS)
    again = weir("topics", env=env)
    assert (again.code, again.err) == (0, "")
    differ = weir("topics", "--bus.shards", "7", env=env)
    assert differ.code == 5
    assert "partitions is 3, wanted is 7" in differ.err
    assert "hint: set bus.shards" in differ.err


def test_a_stage_waits_for_a_bus_that_is_away_and_ends_when_told(weir: Weir) -> None:
    port = free_port()
    with weir.start("run", "decode", "--bus.url", f"127.0.0.1:{port}") as stage:
        stage.says(f"waiting for the bus: Kafka at 127.0.0.1:{port}: connection refused")
        stage.interrupt()
        done = stage.end(10)
    assert done.code == 0
    assert "Traceback" not in done.err


async def test_stages_outlive_a_bus_that_is_away_at_their_start_and_later(
    kafka: SecuredKafka, installation: Installation
) -> None:
    """Everything in the file arrives, whatever the broker does meanwhile."""
    with installation.running():
        kafka.kill()
        try:
            for stages in (["targets", "--targets.static", "all"], ["filter"], ["decode"], ["store", "hub"]):
                more = ["--hub.listen", "127.0.0.1:0"] if "hub" in stages else []
                installation.run(stages[0], *stages, *more)
            stage = installation.stages["decode"]
            await _until(lambda: "waiting for the bus" in stage.output())
            assert "connection refused" in stage.output()
        finally:
            kafka.spawn()
            await asyncio.to_thread(kafka.wait_ready)
        installation.run("capture", "capture", "--capture.files", str(RECORDING))
        async with installation.bus() as bus:
            await collect(bus, lambda found: len(found) > 20)
        kafka.kill()
        kafka.spawn()
        await asyncio.to_thread(kafka.wait_ready)
        async with installation.bus() as bus:
            found = await collect(bus, lambda found: sum(e["protocol"] == "http" for e in found.values()) >= 161)
            assert sum(e["protocol"] == "http" for e in found.values()) == 161
        for stage in installation.stages.values():
            stage.stop()
            assert "Traceback" not in stage.output()
            assert "lost " not in stage.output().replace("nothing was lost", ""), stage.output()


READERS = [("filter", "packets"), ("decode", "segments"), ("store", "entries")]


async def _until(done: object, deadline_s: float = 60) -> None:
    assert callable(done)
    async with asyncio.timeout(deadline_s):
        while not done():
            await asyncio.sleep(0.02)


async def _write(kafka: SecuredKafka, topic: str, values: list[bytes]) -> None:
    """Past weir's own bus, as a stranger would."""
    producer = AIOKafkaProducer(bootstrap_servers=kafka.bootstrap)
    await producer.start()
    try:
        for value in values:
            await producer.send_and_wait(topic, value, key=b"k", partition=0)
    finally:
        await producer.stop()


def _run(installation: Installation, stage: str) -> None:
    installation.run("targets", "targets", "--targets.static", "all")
    installation.run("reader", *(["store", "hub", "--hub.listen", "127.0.0.1:0"] if stage == "store" else [stage]))


GARBAGE = [b"", b"\xc1", b"{}", b"\x00" * 100, msgpack.packb([1, 2]), msgpack.packb({"v": 1, "t": "nonsense"})]


@pytest.mark.parametrize(("stage", "topic"), READERS)
async def test_garbage_is_counted_and_passed(
    kafka: SecuredKafka, installation: Installation, stage: str, topic: str
) -> None:
    with installation.running():
        await _write(kafka, f"{installation.instance}.{topic}", GARBAGE)
        _run(installation, stage)
        async with installation.bus() as bus:
            def passed(beats: dict[str, Heartbeat]) -> bool:
                beat = beats.get("reader")
                return beat is not None and sum(beat.lost.values()) == len(GARBAGE) and not sum(beat.lag.values())

            beats = await heartbeats(bus, passed)
            assert beats["reader"].lost == {f"{stage}.undecodable": len(GARBAGE)}
            dead = bus.stream(DEAD, group=None)
            reasons: list[str] = []
            async for batch in dead:
                reasons += [record.value.reason for record in batch.records]
                if len(reasons) == len(GARBAGE):
                    break
            await dead.close()
            assert all(reasons)


@pytest.mark.parametrize(("stage", "topic"), READERS)
async def test_a_topic_of_garbage_is_not_drained(
    kafka: SecuredKafka, installation: Installation, stage: str, topic: str
) -> None:
    with installation.running():
        await _write(kafka, f"{installation.instance}.{topic}", GARBAGE * 20)
        _run(installation, stage)
        reader = installation.stages["reader"]
        code = await asyncio.to_thread(reader.wait)
        assert code == 8, reader.output()
        assert "records cannot be decoded" in reader.output()
        assert "hint: the topic `dead` has the reasons" in reader.output()


@pytest.mark.parametrize(("stage", "topic"), READERS)
async def test_what_a_newer_weir_wrote_is_waited_for_with_the_mark_held(
    kafka: SecuredKafka, installation: Installation, stage: str, topic: str
) -> None:
    with installation.running():
        await _write(kafka, f"{installation.instance}.{topic}", [msgpack.packb({"v": 99, "t": topic})])
        _run(installation, stage)
        async with installation.bus() as bus:
            beats = await heartbeats(
                bus, lambda found: "reader" in found and any("version 99" in note for note in found["reader"].notes)
            )
        assert beats["reader"].lost == {}
        reader = installation.stages["reader"]
        assert reader.stop() == 0, reader.output()
        # Whoever comes next finds it again: nothing was marked.
        reader.start()
        async with installation.bus() as bus:
            def waits_again(found: dict[str, Heartbeat]) -> bool:
                beat = found.get("reader")
                return beat is not None and beat.started_ns != first and any("version 99" in n for n in beat.notes)

            first = beats["reader"].started_ns
            again = await heartbeats(bus, waits_again)
        assert again["reader"].lost == {}
