"""How often a broker that cannot be reached is tried again: seldom, and by one client of a process for all of them.

aiokafka tries on behalf of each of its tasks, in each client, as long as `retry_backoff_ms` apart: dozens of attempts,
each with its name queries, in every second of an outage, all of which a watched cluster pays for. `hold` puts a turn
before the connections of a client; what aiokafka does besides connecting stays as it is.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import Any

PAUSES_S = (0.1, 0.2, 0.5, 1.0, 2.0, 3.0)
"""Between attempts at one broker; the last one from then on."""
START = "start"
"""In place of a broker: the addresses by which a client finds the cluster."""
_SPREAD = 0.25
"""Share by which pauses differ, so that the processes of an installation do not come together."""


def spread(seconds: float) -> float:
    return seconds * random.uniform(1 - _SPREAD, 1 + _SPREAD)


class _Absence:
    """A broker that could not be reached."""

    def __init__(self) -> None:
        self.tries = 0
        self.next_s = 0.0
        self.over: asyncio.Future[None] | None = None
        """Done when it was reached."""


class Pace:
    """Whose turn it is to try a broker. Times are seconds of one clock."""

    def __init__(self) -> None:
        self._away: dict[object, _Absence] = {}

    def away(self, broker: object) -> bool:
        return broker in self._away

    def wait_s(self, broker: object, now_s: float) -> float:
        """0: try now, and nobody else will for a while; else how long to wait before asking again."""
        absence = self._away.get(broker)
        if absence is None:
            return 0.0
        if now_s < absence.next_s:
            return absence.next_s - now_s
        self._put_off(absence, now_s)
        return 0.0

    def failed(self, broker: object, now_s: float) -> None:
        absence = self._away.get(broker)
        if absence is None:
            absence = self._away[broker] = _Absence()
            self._put_off(absence, now_s)
        elif now_s >= absence.next_s:
            # It took longer to fail than the pause that began with it.
            self._put_off(absence, now_s)

    def reached(self, broker: object) -> None:
        absence = self._away.pop(broker, None)
        if absence is not None and absence.over is not None and not absence.over.done():
            absence.over.set_result(None)

    def answered(self) -> None:
        """The cluster did, whichever broker it was: nobody who waits for another one waits any longer."""
        for broker in list(self._away):
            self.reached(broker)

    async def turn(self, broker: object, *, wait: bool) -> bool:
        """Whether to try now. With `wait` the answer comes when the pause is over, or when somebody reached it."""
        loop = asyncio.get_running_loop()
        pause = self.wait_s(broker, loop.time())
        if pause <= 0 or not wait:
            return pause <= 0
        absence = self._away[broker]
        if absence.over is None:
            absence.over = loop.create_future()
        await asyncio.wait({absence.over}, timeout=pause)
        return self.wait_s(broker, loop.time()) <= 0

    @staticmethod
    def _put_off(absence: _Absence, now_s: float) -> None:
        absence.next_s = now_s + spread(PAUSES_S[min(absence.tries, len(PAUSES_S) - 1)])
        absence.tries += 1


def hold(client: Any, pace: Pace, on_failure: Callable[[], None]) -> None:
    """Let an AIOKafkaClient make connections only at its turn. Who is refused one sees what aiokafka answers when a
    connection failed: nothing. `on_failure` is called after each attempt that failed."""
    connect = client._get_conn

    async def get_conn(node_id: Any, *, group: int = 0, no_hint: bool = False) -> Any:
        known = client._conns.get((node_id, group))
        if known is not None and known.connected():
            return known
        # With another broker to turn to nobody waits for this one.
        others = any(one.nodeId != node_id and not pace.away(one.nodeId) for one in client.cluster.brokers())
        if not await pace.turn(node_id, wait=not others):
            return None
        connection = await connect(node_id, group=group, no_hint=no_hint)
        if connection is None:
            pace.failed(node_id, asyncio.get_running_loop().time())
            on_failure()
        else:
            pace.reached(node_id)
            pace.reached(START)
        return connection

    client._get_conn = get_conn
