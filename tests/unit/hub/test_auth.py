from __future__ import annotations

import os
from pathlib import Path

import pytest

from weir.errors import SettingsError
from weir.hub.auth import Caller, Gate, TokenAuthenticator, host_name
from weir.hub.token import TOKEN_FILE, token_of

GATE = Gate(("weir.example",), "hub.internal")
TOKEN = "a-token-of-weir"
KNOWN = TokenAuthenticator(TOKEN)


async def test_the_token_opens() -> None:
    for scheme in ("Bearer a-token-of-weir", "bearer  a-token-of-weir "):
        assert await KNOWN.caller(scheme, "") == Caller("token", by_cookie=False)
    cookie = await KNOWN.sign_in({"token": TOKEN})
    assert cookie is not None
    assert await KNOWN.caller("", cookie) == Caller("token", by_cookie=True)


@pytest.mark.parametrize("given", ["", "a-token-of-wei", "a-token-of-weir ", "A-TOKEN-OF-WEIR", "ä\ud800", "x" * 10**6])
async def test_nothing_else_does(given: str) -> None:
    assert await KNOWN.sign_in({"token": given}) is None
    assert await KNOWN.sign_in({"t": given}) is None
    assert await KNOWN.caller(f"Basic {given}", given) is None
    assert await KNOWN.caller(f"Basic {TOKEN}", "") is None


async def test_the_cookie_does_not_hold_the_token() -> None:
    cookie = await KNOWN.sign_in({"token": TOKEN}) or ""
    assert TOKEN not in cookie
    assert await KNOWN.caller(f"Bearer {cookie}", TOKEN) is None


@pytest.mark.parametrize("host", [
    "localhost", "localhost:8899", "LOCALHOST.:1", "127.0.0.1:8899", "[::1]:8899", "10.1.2.3", "weir.example:443",
    "hub.internal", "127.8.8.8",
])
def test_names_under_which_it_is_known(host: str) -> None:
    assert GATE.host_ok(host)


@pytest.mark.parametrize("host", [
    "", "evil.example", "localhost.evil.example", "127.0.0.1.nip.io", "weir.example.evil", "a@localhost", "localhost/x",
    "localhost:99999", "[::1", "localhost:x", "2130706433x", "xlocalhost",
])
def test_names_that_a_foreign_page_could_point_here(host: str) -> None:
    assert not GATE.host_ok(host)


def test_a_star_knows_every_name() -> None:
    assert Gate(("*",), "127.0.0.1").host_ok("anything.example")


@pytest.mark.parametrize(("origin", "host", "ours"), [
    ("http://localhost:8899", "localhost:8899", True),
    ("https://weir.example", "weir.example", True),
    ("http://weir.example:80", "weir.example", True),
    ("http://[::1]:8899", "[::1]:8899", True),
    ("http://localhost:8898", "localhost:8899", False),
    ("http://evil.example", "localhost:8899", False),
    ("https://weir.example", "weir.example:80", False),
    ("null", "localhost:8899", False),
    ("", "localhost:8899", False),
    ("file://", "localhost", False),
    ("http://localhost:8899.evil.example", "localhost:8899", False),
])
def test_only_our_own_page_is_our_origin(origin: str, host: str, ours: bool) -> None:
    assert GATE.origin_ok(origin, host) is ours


def test_host_names() -> None:
    assert host_name("[::1]:80") == "::1"
    assert host_name("A.example.:80") == "a.example"


def test_a_token_is_made_once_and_only_its_owner_reads_it(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    token = token_of("", folder)
    assert len(token) >= 32
    assert token_of("", folder) == token
    path = folder / TOKEN_FILE
    assert path.stat().st_mode & 0o777 == 0o600
    assert os.listdir(folder) == [TOKEN_FILE]
    path.chmod(0o644)
    assert token_of("", folder) == token
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_given_token_is_not_written(tmp_path: Path) -> None:
    assert token_of("given-by-the-user", tmp_path / "data") == "given-by-the-user"
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("token", ["short", "with a blank inside", "line\nfeed-in-here", "x" * 600])
def test_tokens_that_are_refused(token: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError):
        token_of(token, tmp_path)
    (tmp_path / TOKEN_FILE).write_text(token)
    with pytest.raises(SettingsError, match=TOKEN_FILE):
        token_of("", tmp_path)
