from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weir.errors import SettingsError
from weir.rules.labels import parse_selector

WEB = {"app": "web", "tier": "front", "example.com/team": "a"}


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("", True),
        ("app=web", True),
        ("app==web", True),
        ("app = web , tier=front", True),
        ("app=db", False),
        ("app!=db", True),
        ("app!=web", False),
        ("color!=red", True),
        ("app in (web, db)", True),
        ("app in (db)", False),
        ("app notin (db,cache)", True),
        ("app notin (web)", False),
        ("color notin (red)", True),
        ("color in (red)", False),
        ("tier", True),
        ("color", False),
        ("!color", True),
        ("!tier", False),
        ("example.com/team=a", True),
        ("color=", False),
        ("app in (,web)", True),
        ("app=web,tier in (back,front),!canary", True),
        ("app=web,tier in (back,front),!example.com/team", False),
    ],
)
def test_a_selector_holds(text: str, holds: bool) -> None:
    assert parse_selector(text).holds(WEB) is holds


def test_an_empty_value_is_a_value() -> None:
    assert parse_selector("color=").holds({"color": ""})
    assert parse_selector("color in (,red)").holds({"color": ""})
    assert not parse_selector("color=").holds({"color": "red"})


def test_in_and_notin_can_be_keys() -> None:
    assert parse_selector("in in (in),notin=x").holds({"in": "in", "notin": "x"})


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("app=web,", "character 9"),
        ("=web", "character 1"),
        ("app web", "character 5"),
        ("app in web", "character 8"),
        ("app in (web", "character 12"),
        ("app in (web))", "character 13"),
        ("cpu>3", "character 4"),
        ("-app", "character 1"),
        ("app=we/b", "character 5"),
        ("!", "character 2"),
        ("/app", "character 1"),
        ("a" * 64, "character 1"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(text: str, place: str) -> None:
    with pytest.raises(SettingsError, match=place) as caught:
        parse_selector(text)
    assert "app=web" in caught.value.hint


@given(st.text(alphabet="ab/=!(),<> in\t\n\x00é-.", max_size=30))
def test_any_text_is_a_selector_or_an_error(text: str) -> None:
    with contextlib.suppress(SettingsError):
        parse_selector(text).holds(WEB)
