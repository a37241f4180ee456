"""Live traffic of real servers and clients: as many entries as requests, each the right one, and nothing lost."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import Any

import dns.message
import dns.query
import pytest

from weir.cli.demo.grpc import UNAVAILABLE, GrpcConnection, GrpcError, GrpcServer
from weir.testing.netns import Namespace, may_make_namespaces
from weir.testing.servers import certificate, dns_server, missing, nghttpd, nginx, run_in, serving

PLAIN, H2, TLS, GRPC = 8080, 8081, 8443, 50051
Pair = tuple[Namespace, Namespace]

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(not may_make_namespaces(), reason="needs root and iproute2 for network namespaces"),
    pytest.mark.skipif(
        bool(missing("nginx", "curl", "wrk", "nghttpd", "h2load", "openssl")),
        reason="needs nginx, curl, wrk, nghttp2 and openssl",
    ),
]

SITE = """
  log_format ids '$request_id $http_x_request_id $status';
  server {
    listen 8080; listen [::]:8080;
    access_log %(folder)s/requests.log ids;
    location / { return 200 "hello\\n"; }
    location /missing { return 404; }
    location /broken { return 503; }
  }
  server {
    listen 8443 ssl; ssl_protocols TLSv1.2 TLSv1.3;
    ssl_certificate %(cert)s; ssl_certificate_key %(key)s;
    location / { return 200 "a secret\\n"; }
  }
"""


@pytest.fixture(scope="module")
def site(pair: Pair, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """nginx in clear and with TLS; its folder."""
    folder = tmp_path_factory.mktemp("nginx")
    key, cert = certificate(folder, "shop.example")
    nginx(pair[1], folder, SITE % {"folder": folder, "key": key, "cert": cert}, TLS)
    return folder


@pytest.fixture(scope="module")
def weir(pair: Pair, watch: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with watch(pair[1], tmp_path_factory.mktemp("weir"), "--target", "all") as watching:
        yield watching
        assert watching.get("health")["losses"] == []


def at(entries: list[dict[str, Any]], port: int) -> list[dict[str, Any]]:
    """Exchanges with this server."""
    return [entry for entry in entries if entry["dst"]["port"] == port and entry["kind"] != "flow"]


def whole(entry: dict[str, Any]) -> bool:
    return not entry.get("incomplete") and not entry.get("weird") and entry["direction"] == "syn"


@pytest.mark.parametrize("family", [4, 6])
def test_every_request_of_curl_is_an_entry_with_its_own_id(pair: Pair, site: Path, weir: Any, family: int) -> None:
    client, server = pair
    host = server.address if family == 4 else f"[{server.address6}]"
    pages = {"": 200, "missing": 404, "broken": 503}
    sent = {f"v{family}-{n}": (page, pages[page]) for n in range(60) for page in [list(pages)[n % 3]]}
    config = site / f"curl{family}"
    config.write_text(
        "\nnext\n".join(
            f'url = "http://{host}:{PLAIN}/{page}?n={name}"\nheader = "X-Request-Id: {name}"\nsilent\n'
            f'output = /dev/null'
            for name, (page, _) in sent.items()
        )
    )
    client.run("curl", "-K", str(config))
    src = client.address if family == 4 else client.address6
    entries = weir.wait_for(lambda found: len(of(found, src)) >= len(sent), protocol="http")
    mine = of(entries, src)
    assert len(mine) == len(sent)
    for entry in mine:
        page, status = sent[entry["request"]["headers"]["x-request-id"]]
        assert (entry["method"], entry["path"], entry["status_code"]) == ("GET", f"/{page}", status)
        assert entry["query_string"] == {"n": entry["request"]["headers"]["x-request-id"]}
        assert entry["ok"] is (status == 200)
        assert entry["dst"] == {"ip": host.strip("[]"), "port": PLAIN}
        assert whole(entry)
    assert {entry["request"]["headers"]["x-request-id"] for entry in mine} == set(sent)


def of(entries: list[dict[str, Any]], src: str) -> list[dict[str, Any]]:
    """What curl asked from this address."""
    return [e for e in at(entries, PLAIN) if e["src"]["ip"] == src and "x-request-id" in e["request"]["headers"]]


WRK = """
local number = 0
request = function()
  number = number + 1
  return wrk.format("GET", "/wrk?n=" .. number)
end
delay = function() return 4 end
"""


def test_wrk_is_counted_as_nginx_counts_it(pair: Pair, site: Path, weir: Any) -> None:
    script = site / "wrk.lua"
    script.write_text(WRK)
    before = answered(site)
    pair[0].run("wrk", "-t1", "-c4", "-d1", "-s", str(script), f"http://{pair[1].address}:{PLAIN}")
    count = answered(site) - before
    assert count > 100
    entries = weir.wait_for(lambda found: len(with_answer(found)) >= count, protocol="http", text="/wrk")
    assert len(with_answer(entries)) == count
    assert all(whole(entry) for entry in with_answer(entries))
    # wrk leaves in the middle: a request of each connection may be without an answer.
    assert len(entries) - count <= 4
    # Its first number is for a request that it only makes to look at it.
    assert sorted(int(entry["query_string"]["n"]) for entry in entries) == list(range(2, len(entries) + 2))


def answered(site: Path) -> int:
    """Requests that nginx answered."""
    return sum(line.endswith(" 200") for line in (site / "requests.log").read_text().splitlines())


def with_answer(entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [entry for entry in entries if entry.get("status_code") == 200]


def test_every_stream_of_h2load_is_an_entry(pair: Pair, weir: Any, tmp_path: Path) -> None:
    (tmp_path / "page").write_text("hello\n")
    nghttpd(pair[1], tmp_path, H2)
    url = f"http://{pair[1].address}:{H2}/page"
    pair[0].run("h2load", "-n", "500", "-c", "5", "-m", "10", "-H", "x-request-id: h2", url)
    entries = at(weir.wait_for(lambda found: len(at(found, H2)) >= 500, protocol="http"), H2)
    assert len(entries) == 500
    assert {(e["http_version"], e["summary"]) for e in entries} == {("2", "GET /page → 200")}
    assert all(whole(e) and e["response"]["body"]["text"] == "hello\n" for e in entries)
    assert Counter(Counter(e["flow_id"] for e in entries).values()) == {100: 5}
    assert len({e["id"] for e in entries}) == 500


async def answer(messages: list[bytes], headers: Mapping[str, str]) -> AsyncIterator[bytes]:
    if messages[0].startswith(b"fail"):
        raise GrpcError(UNAVAILABLE, "out of stock")
    yield messages[0]
    yield b"and more"


@contextlib.asynccontextmanager
async def grpc_server(address: str) -> AsyncIterator[None]:
    server = GrpcServer({"/shop.Orders/Place": answer})
    await server.start(address, GRPC)
    try:
        yield
    finally:
        await server.stop()


async def place_orders(address: str) -> Counter[int]:
    _, client = await asyncio.get_running_loop().create_connection(GrpcConnection, address, GRPC)
    told: Counter[int] = Counter()

    async def place(number: int) -> None:
        message = b"fail" if number % 4 == 0 else b"order"
        try:
            await client.call("shop", "/shop.Orders/Place", message, {"x-request-id": str(number)})
            told[0] += 1
        except GrpcError as error:
            told[error.status] += 1

    async with asyncio.TaskGroup() as tasks:
        for number in range(80):
            tasks.create_task(place(number))
    client.close()
    return told


def test_every_call_of_grpc_is_an_entry(pair: Pair, weir: Any) -> None:
    with serving(pair[1], lambda: grpc_server(pair[1].address)):
        told = run_in(pair[0], place_orders(pair[1].address))
    assert told == {0: 60, UNAVAILABLE: 20}
    entries = weir.wait_for(lambda found: len(found) >= 80, protocol="grpc")
    assert Counter(e["grpc_status"] for e in entries) == told
    assert {e["request"]["headers"]["x-request-id"] for e in entries} == {str(n) for n in range(80)}
    for entry in entries:
        assert (entry["grpc_method"], entry["dst"]["port"]) == ("shop.Orders/Place", GRPC)
        assert entry["ok"] is (entry["grpc_status"] == 0)
        assert whole(entry)


def ask(pair: Pair, name: str) -> dns.message.Message:
    with pair[0].entered():
        return dns.query.udp(dns.message.make_query(name, "A"), pair[1].address, timeout=10)


def test_every_question_of_dns_is_an_entry(pair: Pair, weir: Any) -> None:
    names = [f"{word}{n}.demo.svc" for n in range(20) for word in ("yes", "no")]
    with serving(pair[1], lambda: dns_server(pair[1].address)):
        for name in names:
            ask(pair, name)
    entries = weir.wait_for(lambda found: len(found) >= len(names), protocol="dns")
    assert {e["dns_name"]: (e["dns_rcode"], e["dns_answers"]) for e in entries} == {
        name: ("NOERROR", ["192.0.2.7"]) if name.startswith("yes") else ("NXDOMAIN", []) for name in names
    }
    assert len(entries) == len(names)
    assert all(not e.get("incomplete") for e in entries)


@pytest.mark.parametrize("version", ["1.2", "1.3"])
def test_tls_is_named_and_not_read(pair: Pair, site: Path, weir: Any, version: str) -> None:
    name = f"v{version.replace('.', '-')}.shop.example"
    limits = ("--tls-max", version, f"--tlsv{version}")
    for _ in range(5):
        pair[0].run("curl", "-s", "-k", *limits, "--resolve", f"{name}:{TLS}:{pair[1].address}", f"https://{name}:{TLS}/")
    entries = weir.wait_for(lambda found: len(named(found, name)) >= 5, protocol="tls")
    mine = named(entries, name)
    assert len(mine) == 5
    assert {(e["kind"], e["tls_version"]) for e in mine} == {("handshake", f"TLS {version}")}
    assert {tuple(e["tls_alpn_offered"]) for e in mine} == {("h2", "http/1.1")}
    assert all(whole(e) for e in mine)
    assert "a secret" not in str(mine)


def named(entries: list[dict[str, Any]], name: str) -> list[dict[str, Any]]:
    return [entry for entry in entries if entry.get("tls_sni") == name]
