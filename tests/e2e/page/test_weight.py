"""What the page weighs, and whether its two palettes can be read (WCAG 2.1, 1.4.3 and 1.4.11)."""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterable
from pathlib import Path

import pytest

import weir.hub
from weir.testing.browsing import STATIC

STYLE = Path(weir.hub.__file__).parent / "ui/src/style.css"
FIRST_LOAD, EVERYTHING = 60_000, 150_000
Palette = dict[str, str]


def weight(paths: Iterable[Path]) -> int:
    return sum(len(gzip.compress(path.read_bytes())) for path in paths)


@pytest.mark.browser
def test_the_first_load_is_small() -> None:
    index = STATIC / "index.html"
    named = [STATIC / name for name in re.findall(r'(?:src|href)="\./([^"]+)"', index.read_text())]
    assert {path.suffix for path in named} >= {".js", ".css", ".svg"}
    assert weight([index, *named]) < FIRST_LOAD
    assert weight(path for path in STATIC.rglob("*") if path.is_file()) < EVERYTHING


@pytest.mark.browser
def test_what_is_not_shown_at_once_is_loaded_later() -> None:
    index = (STATIC / "index.html").read_text()
    later = [path for path in (STATIC / "assets").iterdir() if path.name not in index]
    assert sum(path.suffix == ".js" for path in later) >= 3


@pytest.mark.browser
def test_nothing_in_the_page_is_inline() -> None:
    index = (STATIC / "index.html").read_text()
    assert not re.search(r"<style|<script(?![^>]*\bsrc=)|\son\w+=|\sstyle=", index)


def palettes() -> dict[str, Palette]:
    blocks = re.findall(r":root \{(.*?)\}", STYLE.read_text(), re.DOTALL)
    light, dark = (dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", block)) for block in blocks)
    return {"light": light, "dark": dark}


def luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    bright, dim = sorted((luminance(one), luminance(other)), reverse=True)
    return (bright + 0.05) / (dim + 0.05)


TEXTS = [
    *((text, ground) for text in ("text", "quiet", "bad") for ground in ("ground", "raised", "chosen")),
    *((text, ground) for text in ("accent", "warn", "good") for ground in ("ground", "raised")),
    ("bad", "bad-ground"), ("ground", "bad"), ("ground", "accent"), ("text", "bad-ground"),
]  # fmt: skip


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("text", "ground"), TEXTS)
def test_text_stands_out(scheme: str, text: str, ground: str) -> None:
    palette = palettes()[scheme]
    assert contrast(palette[text], palette[ground]) >= 4.5


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_signs_and_the_focus_ring_stand_out(scheme: str) -> None:
    palette = palettes()[scheme]
    for sign in ("good", "bad", "accent"):
        for ground in ("ground", "raised"):
            assert contrast(palette[sign], palette[ground]) >= 3


def test_contrast_is_what_wcag_says() -> None:
    assert contrast("#ffffff", "#000000") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)
