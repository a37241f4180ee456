"""The servers of a place, and its clients at work."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path

from weir.testing.lab.places import DNS, Place, Talk
from weir.testing.lab.seen import logged
from weir.testing.servers import dns_server, nginx, serving

RATE = 2500.0
"""Requests a second: what two cores can make, carry and decode at once."""
DNS_RATE = 500.0
_HTTP = "server {{ listen {port}; location / {{ return 200 $request_uri; }} }}"


class Talking:
    def __init__(self, place: Place, folder: Path) -> None:
        self._place = place
        self._folders = [folder / str(number) for number in range(len(place.servers))]

    @contextlib.contextmanager
    def serving(self) -> Iterator[None]:
        place = self._place
        with contextlib.ExitStack() as servers:
            for folder, server in zip(self._folders, place.servers, strict=True):
                folder.mkdir(parents=True)
                nginx(server, folder, _HTTP.format(port=place.port), place.port)
            for address in {talk.dst for talk in place.dns}:
                server = next(space for space in place.servers if space.address == address)
                servers.enter_context(serving(server, lambda a=address: dns_server(a, DNS)))  # type: ignore[misc]
            yield

    async def ask(self, mark: str, count: int) -> list[str]:
        """So many requests in all, as `/PLACE/MARK/TALK/NUMBER`; answers the paths that the servers logged."""
        place = self._place
        share = count // len(place.talks)
        halves = [(0, share // 2), (share // 2, share - share // 2)] if place.disturb is not None else [(0, share)]
        rate = RATE / len(place.talks)
        clients = [
            await _start("http", talk, f"/{place.name}/{mark}/{number}/", 0, share, rate)
            for number, talk in enumerate(place.talks)
        ]
        if place.disturb is not None:
            await self.until_served(halves[0][1])
            await asyncio.to_thread(place.disturb)
        await _ended(clients)
        return [path for path in logged(self._folders) if path.split("/")[2] == mark]

    async def resolve(self, mark: str, count: int) -> list[str]:
        """So many queries; answers the names, each of which was answered."""
        clients = [await _start("dns", talk, f"{mark}-", 0, count, DNS_RATE) for talk in self._place.dns[:1]]
        await _ended(clients)
        return [f"{mark}-{number}.demo.svc" for number in range(count if clients else 0)]

    async def until_served(self, count: int) -> None:
        """So many requests so far, by whomever."""
        async with asyncio.timeout(60):
            while len(logged(self._folders)) < count:  # noqa: ASYNC110 (nginx tells nobody)
                await asyncio.sleep(0.05)


async def _start(
    kind: str, talk: Talk, prefix: str, first: int, count: int, rate: float
) -> asyncio.subprocess.Process:
    options = {"--first": first, "--rate": rate, "--connections": talk.connections, "--source-port": talk.source_port}
    return await asyncio.create_subprocess_exec(
        *talk.client.command(
            sys.executable, "-m", "weir.testing.lab.asking", kind, talk.host, str(talk.port), prefix, str(count),
            *(str(part) for option in options.items() for part in option),
        ),
        stdin=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
    )


async def _ended(clients: list[asyncio.subprocess.Process]) -> None:
    for client in clients:
        _, said = await asyncio.wait_for(client.communicate(), 120)
        assert client.returncode == 0, said.decode(errors="replace")[-1000:]
