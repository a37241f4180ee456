"""`python -m weir.cli.demo [ROLE...]`: the shop, or some of its parts, alone in the foreground."""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys

from weir.cli.demo.places import PORTS, ROLES, from_environment
from weir.cli.demo.shop import Demo


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m weir.cli.demo",
        description="The demo shop. Without roles: all of it, on loopback addresses of its own. With roles: these "
        "alone, which find the others by WEIR_DEMO_DNS, WEIR_DEMO_CATALOG and so on (a host name or an address).",
    )
    parser.add_argument("roles", nargs="*", metavar="ROLE", help=", ".join(ROLES))
    parser.add_argument("--rate", type=float, default=10.0, help="exchanges per second, about (default 10)")
    arguments = parser.parse_args(argv)
    if unknown := sorted(set(arguments.roles) - set(ROLES)):
        parser.error(f"no such role: {', '.join(unknown)}; there are {', '.join(ROLES)}")
    if not 0 < arguments.rate <= 1000:
        parser.error("--rate is above 0 and at most 1000")
    if arguments.roles:
        demo = Demo(rate=arguments.rate, roles=arguments.roles, where=from_environment(os.environ))
    else:
        demo = Demo(rate=arguments.rate)
    try:
        asyncio.run(_run(demo))
    except OSError as error:
        print(f"demo: {error}\nhint: the shop needs several loopback addresses (Linux) that are free", file=sys.stderr)
        return 1
    return 0


async def _run(demo: Demo) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with demo:
        for role, host in demo.places.hosts.items():
            print(f"{role:10} {host}{':' + str(demo.places.ports[role]) if role in PORTS else ''}", flush=True)
        await stop.wait()


if __name__ == "__main__":
    sys.exit(main())
