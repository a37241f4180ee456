from __future__ import annotations

from pathlib import Path

from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from weir.hub.page import page_routes


async def ask(folder: Path, path: str) -> tuple[int, str, str]:
    app = web.Application()
    app.add_routes(page_routes(folder))
    async with TestClient(TestServer(app)) as client, client.get(path) as answer:
        return answer.status, answer.content_type, await answer.text()


async def test_without_a_built_page_people_are_told_how_to_build_it(tmp_path: Path) -> None:
    status, kind, text = await ask(tmp_path / "none", "/")
    assert (status, kind) == (200, "text/html")
    assert "make ui" in text
    assert "<script" not in text


async def test_the_built_page_and_its_files(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("<p>page")
    (tmp_path / "icon.svg").write_text("<svg/>")
    (tmp_path / "assets").mkdir()
    (tmp_path / "assets" / "app.js").write_text("1")
    assert await ask(tmp_path, "/") == (200, "text/html", "<p>page")
    assert (await ask(tmp_path, "/icon.svg"))[2] == "<svg/>"
    assert (await ask(tmp_path, "/assets/app.js"))[2] == "1"
    assert (await ask(tmp_path, "/assets/"))[0] in (403, 404)
    assert (await ask(tmp_path, "/assets/none.js"))[0] == 404
    (tmp_path.parent / "secret").write_text("x")
    assert (await ask(tmp_path, "/assets/%2e%2e/%2e%2e/secret"))[0] == 404
