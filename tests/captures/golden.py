"""Writes the expected entries of the captures anew: `make golden`, or `golden.py [case…]`. Read the difference."""

from __future__ import annotations

import sys
from pathlib import Path

from weir.testing.golden import cases, write

HERE = Path(__file__).parent


def main(wanted: list[str]) -> int:
    known = {case.relative_to(HERE).as_posix(): case for case in cases(HERE)}
    if unknown := [name for name in wanted if name not in known]:
        print(f"there is no case {', '.join(unknown)}; there are: {', '.join(known)}", file=sys.stderr)
        return 2
    changed = [name for name in wanted or known if write(known[name])]
    print(f"{len(changed)} of {len(wanted or known)} changed", *changed, sep="\n  ")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
