from __future__ import annotations

import asyncio

import pytest

from weir.cli.demo import dns
from weir.cli.demo.dns import NOERROR, NXDOMAIN, Resolver, Responder


async def lookup(role: str) -> str | None:
    return {"catalog": "127.7.0.13"}.get(role)


@pytest.mark.parametrize(
    ("name", "qtype", "expected"),
    [
        ("catalog.demo.svc", dns.A, (NOERROR, "127.7.0.13")),
        ("CATALOG.demo.svc", dns.A, (NOERROR, "127.7.0.13")),
        ("catalog.demo.svc", dns.AAAA, (NOERROR, None)),
        ("inventory.demo.svc", dns.A, (NXDOMAIN, None)),
        ("catalog", dns.A, (NXDOMAIN, None)),
    ],
)
async def test_responder_answers_over_udp(name: str, qtype: int, expected: tuple[int, str | None]) -> None:
    loop = asyncio.get_running_loop()
    responder = Responder(lookup)
    transport, _ = await loop.create_datagram_endpoint(lambda: responder, local_addr=("127.0.0.1", 0))
    async with asyncio.TaskGroup() as tasks:
        serving = tasks.create_task(responder.serve())
        resolver = Resolver(transport.get_extra_info("sockname"), None, seed=1)
        assert await resolver.ask(name, qtype) == expected
        serving.cancel()
    transport.close()


def test_garbage_is_no_question() -> None:
    query = dns.encode_query(7, "catalog.demo.svc", dns.A)
    assert dns.decode_question(query) == (7, "catalog.demo.svc", dns.A, len(query))
    for size in range(len(query)):
        assert dns.decode_question(query[:size]) is None
    assert dns.decode_question(b"\xff" * 40) is None


async def test_address_raises_for_a_name_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    resolver = Resolver(("127.0.0.1", 1), None, seed=1)

    async def ask(name: str, qtype: int = dns.A) -> tuple[int, str | None]:
        return NXDOMAIN, None

    monkeypatch.setattr(resolver, "ask", ask)
    with pytest.raises(OSError, match="no such name"):
        await resolver.address("nobody.demo.svc")
