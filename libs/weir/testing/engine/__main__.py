"""`python -m weir.testing.engine [--private] -- COMMAND…`: run a command with a Docker engine.

The machine's engine when `docker info` answers, else a private one (root, Debian) with stand-in images; then the
command runs in the engine's network. WEIR_ENGINE tells it which: `user` or `private`.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

from weir.testing.engine.daemon import EngineError, PrivateEngine, user_engine
from weir.testing.engine.standins import ensure

NO_ENGINE = 4
KEEP_LAYERS = "24h"


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m weir.testing.engine", description=__doc__)
    parser.add_argument("--private", action="store_true", help="a private engine even if the machine has one")
    parser.add_argument("command", nargs="+")
    arguments = parser.parse_args(argv)
    if not arguments.private and user_engine():
        return subprocess.run(arguments.command, env=os.environ | {"WEIR_ENGINE": "user"}, check=False).returncode
    begun = time.monotonic()
    try:
        with PrivateEngine(cache() / "engine") as engine:
            ensure(engine, cache() / "images")
            # Stages of earlier builds are the build cache; those that no build has touched for long are in the way.
            engine.docker("image", "prune", "--force", f"--filter=until={KEEP_LAYERS}", check=False)
            print(f"engine: ready after {time.monotonic() - begun:.1f} s", file=sys.stderr, flush=True)
            environment = engine.full_environment | {"WEIR_ENGINE": "private"}
            return subprocess.run(engine.inside(arguments.command), env=environment, check=False).returncode
    except EngineError as error:
        print(f"engine: {error}", file=sys.stderr)
        return NO_ENGINE


def cache() -> Path:
    """Where what is fetched and built outside the clone stays."""
    return Path(os.environ.get("WEIR_CACHE") or Path.home() / ".cache" / "weir")


if __name__ == "__main__":
    sys.exit(main())
