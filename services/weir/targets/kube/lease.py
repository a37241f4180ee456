"""The right to publish: a Lease, so that during a rollout only one of two replicas does.

Who holds it renews it every few seconds; who wants it watches whether it changes, by its own monotonic clock (clocks of
nodes differ, so the times written in it are for people and never compared), and takes it when nothing changed for as
long as it is good. The holder stops earlier than that: what is published is told to consumers with a revision, so two
that publish for a moment would do harm, and none for a moment does not. JSON is written by hand: times need exactly six
digits of fraction, which typed clients do not always write.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import msgspec

from weir.runtime.clock import Clock
from weir.targets.kube.access import lease_name
from weir.targets.kube.client import KubeClient
from weir.targets.kube.faults import ApiError

CONFLICT = 409
MISSING = 404


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """Durations in seconds, in order: a holder gives up before others take over, with room for a slow request."""

    renew_s: float = 10.0
    """Between two renewals (one call each), and between two looks of who waits."""
    answer_s: float = 5.0
    """A request that takes longer has failed."""
    give_up_s: float = 20.0
    """A holder that could not renew for this long no longer holds."""
    good_s: float = 30.0
    """Who waits takes a lease that did not change for this long."""


class Lease:
    """`held` tells whether this process may publish; `run` keeps it so. One object for one process."""

    def __init__(
        self,
        client: KubeClient,
        instance: str,
        identity: str,
        *,
        clock: Clock,
        chance: random.Random | None = None,
        namespace: str = "",
        terms: Terms | None = None,
    ) -> None:
        """`identity`: the process's name, other than any other replica's; `namespace`: empty for the client's own."""
        self.changed = asyncio.Event()
        """Set whenever `held` changes; who waits for it clears it."""
        self.holder = ""
        """Who holds it, as far as is known."""
        self.reason = ""
        """Why it is not held, or could not be renewed, for people."""
        self._client = client
        self._name = lease_name(instance)
        self._path = f"/apis/coordination.k8s.io/v1/namespaces/{namespace or client.namespace}/leases"
        self._identity = identity
        self._clock = clock
        self._chance = chance or random.Random()
        self._terms = terms or Terms()
        self._held = False
        self._mine: dict[str, Any] | None = None
        """The Lease as it was written last, so that a renewal is one call."""
        self._renewed = 0.0
        """When the request that renewed it last was begun, monotonic."""
        self._seen: tuple[str, float] = ("", 0.0)
        """The version of another's lease, and when it was first seen, monotonic."""

    @property
    def held(self) -> bool:
        """Asked before each publish: turns false by time alone, even while a request hangs."""
        return self._held and self._clock.monotonic() - self._renewed < self._terms.give_up_s

    @asynccontextmanager
    async def kept(self) -> AsyncIterator[Lease]:
        """Seek and renew it meanwhile; release it at the end."""
        async with asyncio.TaskGroup() as tasks:
            running = tasks.create_task(self.run())
            try:
                yield self
            finally:
                running.cancel()
                await asyncio.gather(running, return_exceptions=True)
                await self.release()

    async def run(self) -> None:
        """Until it is cancelled."""
        while True:
            asked = await self.step()
            await self._clock.sleep(max(self._terms.renew_s * self._chance.uniform(0.8, 1.0), asked))

    async def wait(self) -> None:
        """Until it is held."""
        while not self.held:
            self.changed.clear()
            await self.changed.wait()

    async def release(self) -> None:
        """Let the next one have it at once; without an error if that cannot be said."""
        if not self._held:
            return
        self._mine = None
        self._set(False, "released")
        try:
            async with asyncio.timeout(self._terms.answer_s):
                lease = await self._get()
                if lease is not None and _holder(lease) == self._identity:
                    lease["spec"] |= {"holderIdentity": "", "leaseDurationSeconds": 1, "renewTime": self._now()}
                    await self._write(lease)
        except (ApiError, TimeoutError):
            pass

    async def step(self) -> float:
        """Renew it, take it or look who has it, once. Gives the seconds that the server asks to wait."""
        began = self._clock.monotonic()
        work = asyncio.ensure_future(self._attempt())
        alarm = asyncio.ensure_future(self._clock.sleep(self._terms.answer_s))
        try:
            await asyncio.wait((work, alarm), return_when=asyncio.FIRST_COMPLETED)
            if not work.done():
                raise ApiError("the API server does not answer in time")
            held = work.result()
        except ApiError as error:
            # A failed renewal is no loss yet: `held` turns false by time.
            if self._held and not self.held:
                self._set(False, f"not renewed in time: {error.message}")
            else:
                self.reason = error.message
            self._mine = None
            return error.retry_after
        finally:
            for task in (work, alarm):
                task.cancel()
            await asyncio.gather(work, alarm, return_exceptions=True)
        if held:
            self._renewed = began
            self.holder = self._identity
        self._set(held, "" if held else f"held by {self.holder}")
        return 0.0

    async def _attempt(self) -> bool:
        """Renew or take it, if it may be taken.

        :raises ApiError: it is not known who holds it.
        """
        lease = self._mine if self._held and self._mine else await self._get()
        try:
            if lease is None:
                self._mine = await self._create()
                return True
            if _holder(lease) != self._identity and not self._free(lease):
                return False
            self._mine = await self._write(self._signed(lease))
        except ApiError as error:
            # Who held it looks again: a conflict may be anybody's change, and time tells when it is lost.
            if error.status != CONFLICT or self._held:
                raise
            self.holder = "another, who was faster"
            return False
        return True

    def _free(self, lease: dict[str, Any]) -> bool:
        self.holder = _holder(lease)
        if not self.holder:
            return True
        now = self._clock.monotonic()
        version = str(lease["metadata"].get("resourceVersion", ""))
        if version != self._seen[0]:
            self._seen = (version, now)
        return now - self._seen[1] >= max(self._terms.good_s, float(lease["spec"].get("leaseDurationSeconds") or 0))

    def _signed(self, lease: dict[str, Any]) -> dict[str, Any]:
        now = self._now()
        spec = lease.setdefault("spec", {})
        if spec.get("holderIdentity") != self._identity:
            spec["leaseTransitions"] = int(spec.get("leaseTransitions") or 0) + 1
            spec["acquireTime"] = now
        spec |= {
            "holderIdentity": self._identity,
            "leaseDurationSeconds": max(1, round(self._terms.good_s)),
            "renewTime": now,
        }
        return lease

    async def _get(self) -> dict[str, Any] | None:
        try:
            body = await self._client.get(f"{self._path}/{self._name}")
        except ApiError as error:
            if error.status == MISSING:
                return None
            raise
        return _read(body)

    async def _create(self) -> dict[str, Any]:
        lease = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": self._name}}
        return _read(await self._client.request("POST", self._path, body=json.dumps(self._signed(lease)).encode()))

    async def _write(self, lease: dict[str, Any]) -> dict[str, Any]:
        """The Lease as it is then, with its new version."""
        path = f"{self._path}/{self._name}"
        return _read(await self._client.request("PUT", path, body=json.dumps(lease).encode()))

    def _now(self) -> str:
        return datetime.fromtimestamp(self._clock.now_ns() / 1e9, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")

    def _set(self, held: bool, reason: str) -> None:
        self.reason = reason
        if held != self._held:
            self._held = held
            self.changed.set()


def _read(body: bytes) -> dict[str, Any]:
    try:
        lease: dict[str, Any] = msgspec.json.decode(body, type=dict[str, Any])
    except msgspec.MsgspecError as error:
        raise ApiError(f"what was answered is no Lease: {error}") from None
    lease.setdefault("spec", {})
    lease.setdefault("metadata", {})
    return lease


def _holder(lease: dict[str, Any]) -> str:
    return str(lease["spec"].get("holderIdentity") or "")
