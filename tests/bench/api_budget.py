"""Calls of weir at the Kubernetes API in an hour, with few and with many capture processes.

    python tests/bench/api_budget.py [--minutes 10] [--captures 1 100]

Prints the table of `docs/performance.md`: counted for that many minutes, on two control planes at once, while pods
change about ten times a second, and scaled to an hour. What is asked once, for the Lease at the start, stands apart.
"""

from __future__ import annotations

import argparse
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from weir.testing.kubebudget import Budget, measure

ONCE = (("get", "leases"), ("create", "leases"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--captures", type=int, nargs="+", default=[1, 100])
    options = parser.parse_args()

    def run(captures: int) -> Budget:
        with tempfile.TemporaryDirectory(prefix="weir-budget-") as folder:
            return measure(Path(folder), captures, options.minutes * 60)

    with ThreadPoolExecutor() as pool:
        tell(list(pool.map(run, options.captures)))


def tell(budgets: list[Budget]) -> None:
    print(f"| calls | {' | '.join(f'{b.captures} capture processes' for b in budgets)} |")
    print(f"|---|{'---|' * len(budgets)}")
    kinds = sorted({what for budget in budgets for what in budget.calls} - set(ONCE))
    for verb, resource in kinds:
        print(f"| {verb} {resource}, an hour | {' | '.join(hourly(b, verb, resource) for b in budgets)} |")
    print(f"| streams open at once | {' | '.join(str(sum(b.open_watches.values())) for b in budgets)} |")
    print(f"| lists and polls | {' | '.join(str(polls(b)) for b in budgets)} |")
    print(f"| once, at the start, for the Lease | {' | '.join(str(sum(b.calls[o] for o in ONCE)) for b in budgets)} |")
    print(f"| changes of pods in {budgets[0].seconds / 60:.1f} min | {' | '.join(f'{b.changes}' for b in budgets)} |")


def hourly(budget: Budget, verb: str, resource: str) -> str:
    count = budget.calls[verb, resource]
    return f"{count * 3600 / budget.seconds:.0f} ({count} counted)"


def polls(budget: Budget) -> int:
    """Lists, and gets of anything but the Lease at the start."""
    return sum(n for (verb, what), n in budget.calls.items() if verb == "list" or (verb == "get" and what != "leases"))


if __name__ == "__main__":
    main()
