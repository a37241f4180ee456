"""A broker that cannot be reached is tried seldom, by one for all, and everybody goes on as soon as it is back."""

from __future__ import annotations

import asyncio
from typing import Any

from weir.bus.kafka_pace import PAUSES_S, Pace, hold

LONGEST_S = 1.25 * PAUSES_S[-1]


class Connection:
    def __init__(self) -> None:
        self.open = True

    def connected(self) -> bool:
        return self.open


class Broker:
    def __init__(self, number: int) -> None:
        self.nodeId = number


class Client:
    """What `hold` knows of an AIOKafkaClient."""

    def __init__(self, brokers: int = 1) -> None:
        self.there = True
        self.tries = 0
        self._conns: dict[tuple[int, int], Connection] = {}
        self.cluster = self
        self._brokers = [Broker(number) for number in range(brokers)]

    def brokers(self) -> list[Broker]:
        return self._brokers

    async def _get_conn(self, node_id: int, *, group: int = 0, no_hint: bool = False) -> Connection | None:
        self.tries += 1
        if not self.there:
            return None
        return self._conns.setdefault((node_id, group), Connection())


def tries_in(seconds: float, askers: int, step_s: float = 0.01) -> list[float]:
    """When a broker that stays away is tried, if so many ask for it a hundred times a second."""
    pace, tries = Pace(), []
    for at in range(int(seconds / step_s)):
        now = at * step_s
        for _ in range(askers):
            if pace.wait_s("b", now) <= 0:
                tries.append(now)
                pace.failed("b", now)
    return tries


def test_however_many_ask_it_is_tried_seldom() -> None:
    for askers in (1, 50):
        tries = tries_in(60, askers)
        # The pauses before the last add up to less than four seconds.
        later = [at for at in tries if at > 5]
        assert 55 / LONGEST_S - 1 <= len(later) <= 55 / (0.75 * PAUSES_S[-1]) + 1
        assert len(tries) - len(later) <= len(PAUSES_S) + 2


def test_the_first_tries_are_soon() -> None:
    assert len([at for at in tries_in(1, 5) if at < 1]) >= 3


def test_those_who_fail_together_wait_as_one_who_fails() -> None:
    pace = Pace()
    for _ in range(20):
        pace.failed("b", 0.0)
    assert 0 < pace.wait_s("b", 0.0) <= 1.25 * PAUSES_S[0]


def test_an_attempt_that_takes_long_is_followed_by_a_pause() -> None:
    pace = Pace()
    pace.failed("b", 0.0)
    assert pace.wait_s("b", 1.0) == 0
    pace.failed("b", 16.0)
    assert pace.wait_s("b", 16.0) > 0


def test_another_broker_is_not_waited_for() -> None:
    pace = Pace()
    pace.failed("b", 0.0)
    assert pace.wait_s("c", 0.0) == 0


async def test_all_go_on_when_one_has_reached_it() -> None:
    pace, loop = Pace(), asyncio.get_running_loop()
    pace.failed("b", loop.time() + 60)
    waiting = [asyncio.ensure_future(pace.turn("b", wait=True)) for _ in range(3)]
    await asyncio.sleep(0)
    pace.reached("b")
    assert await asyncio.wait_for(asyncio.gather(*waiting), 10) == [True, True, True]
    assert not pace.away("b")


async def test_a_client_connects_at_its_turn_alone() -> None:
    pace, failures = Pace(), []
    one, other = Client(brokers=2), Client(brokers=2)
    for client in (one, other):
        client.there = False
        hold(client, pace, lambda: failures.append(1))
    assert await one._get_conn(0) is None
    assert await other._get_conn(0) is None
    assert (one.tries, other.tries, len(failures)) == (1, 0, 1)


async def test_a_client_waits_where_no_other_broker_is_left() -> None:
    pace = Pace()
    client = Client()
    client.there = False
    hold(client, pace, lambda: None)
    assert await client._get_conn(0) is None
    client.there = True
    assert await asyncio.wait_for(client._get_conn(0), 2) is not None
    assert client.tries == 2


async def test_what_is_connected_says_nothing_about_the_broker() -> None:
    """A connection to a node that was cut off looks well for minutes."""
    pace: Pace = Pace()
    client: Any = Client()
    hold(client, pace, lambda: None)
    assert await client._get_conn(0) is await client._get_conn(0)
    pace.failed(0, 0.0)
    assert await client._get_conn(0) is not None
    assert pace.away(0)
    assert client.tries == 1
