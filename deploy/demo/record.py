"""Record the demo application with tcpdump: `.venv/bin/python deploy/demo/record.py` (needs CAP_NET_RAW).

Writes `services/weir/cli/demo/recording.pcap`, which `weir up --demo` replays where capturing is not permitted.
tcpdump starts before the shop and ends after it, so that every connection is whole.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import tempfile
from pathlib import Path

from weir.cli.demo import RECORDING, Demo, recorded_targets

LIMIT_BYTES = 300_000


async def record(out: Path, seconds: float, rate: float) -> None:
    with tempfile.TemporaryDirectory(dir=out.parent) as folder:
        part = Path(folder) / "part.pcap"
        network = recorded_targets()[0]
        tcpdump = await asyncio.create_subprocess_exec(
            "tcpdump", "-i", "lo", "-n", "-U", "-s", "0", "-Z", "root", "-w", str(part), "net", network,
            stderr=asyncio.subprocess.PIPE,
        )
        assert tcpdump.stderr is not None
        try:
            while b"listening" not in (line := await tcpdump.stderr.readline()):
                if not line:
                    raise SystemExit("tcpdump does not start: is capturing permitted?")
            async with Demo(rate=rate) as demo:
                if demo.targets != [network]:
                    raise SystemExit(f"{network} is in use: end the other demo first")
                await asyncio.sleep(seconds)
            await asyncio.sleep(1)
        finally:
            if tcpdump.returncode is None:
                tcpdump.terminate()
            await tcpdump.wait()
        part.chmod(0o644)
        os.replace(part, out)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=RECORDING)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--rate", type=float, default=10.0, help="exchanges per second, about")
    arguments = parser.parse_args()
    asyncio.run(record(arguments.out, arguments.seconds, arguments.rate))
    size = arguments.out.stat().st_size
    print(f"{arguments.out}: {size} bytes")
    if size > LIMIT_BYTES:
        raise SystemExit(f"above {LIMIT_BYTES} bytes: record less")


if __name__ == "__main__":
    main()
