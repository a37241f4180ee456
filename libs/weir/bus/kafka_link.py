"""Connections to one Kafka cluster: how clients are made, and how they are got rid of.

aiokafka's `stop()` can hang for ever, raise a CancelledError that nobody asked for, and leave tasks behind
(aio-libs/aiokafka #1013, #1101). `dispose` has a deadline, never raises, and leaves nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Awaitable, Coroutine, Sequence
from typing import Any, TypeVar

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from weir.bus.kafka_pace import START, Pace, hold, spread
from weir.bus.kafka_trouble import LogWatch, Reason, classify
from weir.bus.settings import BusSettings
from weir.errors import BusError, SettingsError

T = TypeVar("T")
CLUSTER = "cluster"
"""The trouble of the whole cluster being away, as opposed to one topic or group."""
BACKOFF_S = (0.1, 0.3, 1.0, 3.0, 5.0)
BATCH_BYTES = 512 * 1024
"""Records of one partition are sent in batches of this size; a larger record travels alone."""
REQUEST_BYTES = 16 << 20
FETCH_WAIT_S = 0.5


class Away(KafkaError):  # type: ignore[misc]
    """The cluster does not answer; another try may help."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason.text)
        self.reason = reason


class Link:
    """The way to one cluster, shared by everything that talks to it."""

    def __init__(self, settings: BusSettings, instance: str) -> None:
        self.settings = settings
        self.instance = instance
        self.log = LogWatch()
        self._pace = Pace()
        self._refused = ""
        """What aiokafka logged when a connection failed last, while the cluster is away."""
        self._troubles: dict[str, str] = {}
        """What does not work and why."""
        self._common = _client_options(settings, instance)

    def producer(self) -> Any:
        """Not idempotent: with the broker away an idempotent producer of aiokafka hangs in send and in stop. One
        request at a time for each partition keeps the order all the same."""
        codec = self.settings.compression
        producer = AIOKafkaProducer(
            **self._common,
            acks="all",
            enable_idempotence=False,
            compression_type=None if codec == "none" else codec,
            max_batch_size=BATCH_BYTES,
            max_request_size=REQUEST_BYTES,
            linger_ms=0,
            request_timeout_ms=self._ms(self.settings.request_timeout_s),
        )
        hold(producer.client, self._pace, self._remember)
        return producer

    def consumer(self, group: str | None, member: str) -> Any:
        settings = self.settings
        # A JoinGroup is answered when the slowest member has come, and aiokafka knows one time-out for all requests.
        patience = settings.request_timeout_s + (settings.rebalance_timeout_s if group else 0)
        consumer = AIOKafkaConsumer(
            **self._common,
            group_id=group,
            group_instance_id=member or None,
            enable_auto_commit=False,
            auto_offset_reset="none",
            max_partition_fetch_bytes=settings.fetch_bytes,
            fetch_max_wait_ms=self._ms(FETCH_WAIT_S),
            session_timeout_ms=self._ms(settings.session_timeout_s),
            heartbeat_interval_ms=self._ms(min(1.0, settings.session_timeout_s / 4)),
            rebalance_timeout_ms=self._ms(settings.rebalance_timeout_s),
            # A batch may take as long as it takes; only a rebalance limits it (rebalance_timeout_s).
            max_poll_interval_ms=2**31 - 1,
            request_timeout_ms=self._ms(patience),
        )
        hold(consumer._client, self._pace, self._remember)
        return consumer

    def admin(self) -> Any:
        admin = AIOKafkaAdminClient(**self._common, request_timeout_ms=self._ms(self.settings.request_timeout_s))
        hold(admin._client, self._pace, self._remember)
        return admin

    def topic_name(self, name: str) -> str:
        return f"{self.instance}.{name}"

    def trouble(self) -> str:
        """Why something does not work, for people; that the cluster is away explains all else."""
        return self._troubles.get(CLUSTER) or next(iter(self._troubles.values()), "")

    def blame(self, what: str, error: BaseException | None = None) -> Reason:
        """Find out why something failed, and keep it until that works again."""
        line = self.log.take()
        if not line or "NodeNotReady" in line:
            # Said again because of a connection that failed before, and not tried since.
            line = self._refused or line
        text = f"{type(error).__name__}: {error}" if error is not None else ""
        told, thrown = classify(line), classify(text)
        reason = told if line and (told.hint or not thrown.hint) else thrown
        hint = f" ({reason.hint})" if reason.hint else ""
        self._troubles[what] = f"Kafka at {self.settings.url}: {reason.text}{hint}"
        return reason

    def well(self, what: str) -> None:
        """It has just worked."""
        if what == CLUSTER:
            self._refused = ""
        if self._troubles:
            self._troubles.pop(what, None)

    async def connect(self, client: Any) -> None:
        """Start a client. Refused credentials and certificates raise BusError, an absent cluster raises Away."""
        while not await self._pace.turn(START, wait=True):
            pass  # another client tries
        try:
            await client.start()
        except KafkaError as error:
            self._pace.failed(START, asyncio.get_running_loop().time())
            await dispose(client, 1.0)
            reason = self.blame(CLUSTER, error)
            if reason.fatal:
                raise reason.error(self.settings.url) from error
            raise Away(reason) from error
        except BaseException:
            await dispose(client, 1.0)
            raise
        self._pace.answered()
        self.well(CLUSTER)

    def _remember(self) -> None:
        self._refused = self.log.last

    @staticmethod
    def _ms(seconds: float) -> int:
        return int(seconds * 1000)


class Backoff:
    """Pauses that grow with each failure in a row."""

    def __init__(self) -> None:
        self._failures = 0

    def reset(self) -> None:
        self._failures = 0

    async def pause(self) -> None:
        seconds = BACKOFF_S[min(self._failures, len(BACKOFF_S) - 1)]
        self._failures += 1
        await asyncio.sleep(spread(seconds))


async def within(deadline_s: float, work: Awaitable[T]) -> T:
    """The result of a call of aiokafka; TimeoutError after the deadline, KafkaError for a cancellation that is not
    ours."""
    task = asyncio.ensure_future(work)
    try:
        done, _ = await asyncio.wait({task}, timeout=deadline_s)
    except asyncio.CancelledError:
        task.cancel()
        raise
    if not done:
        task.cancel()
        raise TimeoutError
    if task.cancelled():
        raise KafkaError("cancelled inside aiokafka")
    return task.result()


async def dispose(client: Any, deadline_s: float) -> None:
    """Stop a producer, consumer or admin client within the deadline, whatever state it is in."""
    stop = client.close if isinstance(client, AIOKafkaAdminClient) else client.stop
    try:
        with contextlib.suppress(Exception):
            await within(deadline_s, stop())
    finally:
        await abandon(client)


async def abandon(client: Any) -> None:
    """Take a client apart without a word to the broker: its tasks, then its connections."""
    client._closed = True
    parts = _parts(client)
    for _ in range(5):  # a cancelled task may start another one on its way out
        if not _cancel_tasks_of(parts):
            break
        await asyncio.sleep(0)
    inner = getattr(client, "client", None) or getattr(client, "_client", None)
    if inner is not None:
        with contextlib.suppress(Exception):
            await within(1.0, inner.close())


def _parts(client: Any) -> list[object]:
    names = ("_client", "client", "_sender", "_message_accumulator", "_coordinator", "_fetcher", "_subscription")
    return [client, *(part for name in names if (part := getattr(client, name, None)) is not None)]


def _cancel_tasks_of(parts: Sequence[object]) -> int:
    """Cancel tasks whose coroutine is a method of one of these objects."""
    found = 0
    me = asyncio.current_task()
    for task in asyncio.all_tasks():
        coroutine = task.get_coro()
        frame = coroutine.cr_frame if isinstance(coroutine, Coroutine) and hasattr(coroutine, "cr_frame") else None
        owner = frame.f_locals.get("self") if frame is not None else None
        if task is not me and owner is not None and any(owner is part for part in parts):
            task.cancel()
            found += 1
    return found


def _client_options(settings: BusSettings, instance: str) -> dict[str, Any]:
    options: dict[str, Any] = {
        "bootstrap_servers": settings.url,
        "client_id": f"weir-{instance}",
        "security_protocol": settings.security_protocol,
        "retry_backoff_ms": 100,
        "metadata_max_age_ms": 10_000,
    }
    if settings.security_protocol in ("SSL", "SASL_SSL"):
        options["ssl_context"] = ssl_context(settings)
    if settings.security_protocol.startswith("SASL"):
        if not settings.username:
            raise SettingsError("bus.username is empty", hint="a SASL protocol needs bus.username and bus.password")
        options |= {
            "sasl_mechanism": settings.sasl_mechanism,
            "sasl_plain_username": settings.username,
            "sasl_plain_password": settings.password,
        }
    return options


def ssl_context(settings: BusSettings) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=settings.ca_file or None)
    except (OSError, ssl.SSLError) as error:
        message = f"bus.ca_file {settings.ca_file}: {error}"
        raise BusError(message, hint="it must hold CA certificates as PEM") from error
    context.check_hostname = settings.check_hostname
    if settings.cert_file:
        try:
            context.load_cert_chain(settings.cert_file, settings.key_file or None)
        except (OSError, ssl.SSLError) as error:
            raise BusError(
                f"bus.cert_file {settings.cert_file}: {error}",
                hint="a PEM certificate with its key, or the key in bus.key_file",
            ) from error
    return context
