from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from weir.testing.engine import standins
from weir.testing.engine.daemon import EngineError, PrivateEngine
from weir.testing.engine.standins import LABEL, StandIn, ensure


class FakeEngine(PrivateEngine):
    """Knows which images it has; `docker` in PATH is a script that saves and loads."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.labels: dict[str, str] = {}

    def docker(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        assert arguments[:2] == ("image", "inspect")
        label = self.labels.get(arguments[-1])
        return subprocess.CompletedProcess(arguments, 0 if label else 1, stdout=f"{label or ''}\n", stderr="")


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeEngine:
    for name, text in {
        "docker": 'case "$1" in save) echo "image $2";; load) cat > "$LOADED";; esac',
        "zstd": 'case "$1" in -dcq) cat "$2";; *) cat > "$4";; esac',
    }.items():
        script = tmp_path / "bin" / name
        script.parent.mkdir(exist_ok=True)
        script.write_text(f"#!/bin/sh\n{text}\n")
        script.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=":")
    monkeypatch.setenv("LOADED", str(tmp_path / "loaded"))
    return FakeEngine(tmp_path)


def standin(engine: FakeEngine, built: list[str], recipe: str = "r1") -> StandIn:
    def build(_engine: PrivateEngine, tag: str, label: str) -> None:
        built.append(tag)
        engine.labels[tag] = label.removeprefix(f"{LABEL}=")

    return StandIn("some/image:1", build, recipe)


def test_an_image_is_built_once_and_kept(
    engine: FakeEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    built: list[str] = []
    monkeypatch.setattr(standins, "standins", lambda: (standin(engine, built),))
    ensure(engine, tmp_path / "images")
    assert built == ["some/image:1"]
    kept = tmp_path / "images" / "some-image-1-r1.tar.zst"
    assert kept.read_text() == "image some/image:1\n"
    ensure(engine, tmp_path / "images")
    assert built == ["some/image:1"]
    engine.labels.clear()
    monkeypatch.setattr(standins, "_present", lambda e, i: (tmp_path / "loaded").exists())
    ensure(engine, tmp_path / "images")
    assert built == ["some/image:1"]
    assert (tmp_path / "loaded").read_text() == "image some/image:1\n"


def test_a_changed_recipe_builds_anew_and_drops_the_old_file(
    engine: FakeEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    built: list[str] = []
    for recipe in ("r1", "r2"):
        monkeypatch.setattr(standins, "standins", lambda r=recipe: (standin(engine, built, r),))
        ensure(engine, tmp_path / "images")
    assert built == ["some/image:1"] * 2
    assert [p.name for p in (tmp_path / "images").iterdir()] == ["some-image-1-r2.tar.zst"]


def test_a_failing_recipe_is_told(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="a reason"):
        standins._run(["sh", "-c", "echo a reason >&2; exit 3"])
    with pytest.raises(EngineError, match="not installed: no-such-tool"):
        standins._run(["no-such-tool"])


def test_recipes_differ_and_are_stable() -> None:
    one, two = standins.standins(), standins.standins()
    assert [image.recipe for image in one] == [image.recipe for image in two]
    assert len({image.recipe for image in one}) == len(one)
