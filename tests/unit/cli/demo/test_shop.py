from __future__ import annotations

import asyncio
import ipaddress
import sys

import aiohttp
import pytest

from weir.cli.demo import Demo
from weir.cli.demo.web import client

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="loopback has one address here")


async def test_the_shop_serves_and_leaves_no_task() -> None:
    before = asyncio.all_tasks()
    async with Demo(rate=500, seed=3) as demo:
        visitors = demo.visitors
        assert visitors is not None
        async with asyncio.timeout(20):
            while visitors.calls < 40:
                await asyncio.sleep(0)
        assert visitors.failures == 0
    async with asyncio.timeout(5):
        while asyncio.all_tasks() - before:
            await asyncio.sleep(0)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 200), ("GET", "/products?q=oak", 200), ("GET", "/products/3", 200), ("GET", "/products/99", 404),
        ("GET", "/products/3/stock", 503), ("GET", "/account", 200), ("POST", "/checkout", 401), ("GET", "/none", 404),
    ],
)
async def test_each_call_ends_as_it_should(method: str, path: str, status: int) -> None:
    roles = ("dns", "catalog", "payments", "checkout", "frontend")
    async with Demo(roles=roles) as demo:
        url = f"http://{demo.places.hosts['frontend']}:8080{path}"
        async with aiohttp.ClientSession() as http, http.request(method, url) as answer:
            assert answer.status == status
            if path.startswith("/products?"):
                assert len((await answer.json())["items"]) == 2


async def test_orders_are_charged_over_grpc() -> None:
    async with Demo(roles=("dns", "catalog", "payments", "checkout", "frontend"), seed=1) as demo:
        url = f"http://{demo.places.hosts['frontend']}:8080/checkout"
        statuses = []
        async with aiohttp.ClientSession(headers={"Authorization": "Bearer t"}) as http:
            for item in range(1, 13):
                async with http.post(url, json={"item": item, "count": 2}) as answer:
                    statuses.append(answer.status)
                    if answer.status == 201:
                        assert (await answer.json())["charge"].startswith("ch-")
        assert statuses.count(201) >= 8
        assert set(statuses) <= {201, 500, 503}


async def test_two_shops_fit_on_one_machine() -> None:
    async with Demo(roles=("catalog",)) as one, Demo(roles=("catalog",)) as two:
        assert one.targets != two.targets


async def test_endpoints_name_every_address_within_the_targets() -> None:
    demo = Demo()
    network = ipaddress.ip_network(demo.targets[0])
    assert all(ipaddress.ip_address(record.address) in network for record in demo.endpoints)
    assert {(r.name, r.port) for r in demo.endpoints if r.listens} == {
        ("dns", 53), ("catalog", 8080), ("payments", 9090), ("checkout", 8080), ("frontend", 8080),
    }
    assert len({record.uid for record in demo.endpoints}) == len(demo.endpoints)


async def test_the_client_calls_from_its_own_address() -> None:
    async with Demo(roles=("dns", "catalog")) as demo:
        resolver = await demo._resolver("frontend", 1)
        url = demo.places.url("catalog") + "/items"
        async with client(demo.places, "frontend", resolver) as http, http.get(url) as answer:
            assert answer.status == 200
            assert answer.headers["Content-Encoding"] == "gzip"
