from __future__ import annotations

import subprocess
import sys

SETTLED = """
import gc
from weir.runtime.collector import YOUNG, settle

settle()
assert gc.isenabled() and gc.get_threshold()[0] == YOUNG and gc.get_freeze_count() > 1000

class Knot:
    pass

for _ in range(YOUNG * 3):
    knot = Knot()
    knot.itself = knot
kept = sum(1 for thing in gc.get_objects() if type(thing) is Knot)
assert kept <= YOUNG + 1, kept
"""


def test_cycles_are_still_collected() -> None:
    """In a process of its own: the collector is the whole process's."""
    subprocess.run([sys.executable, "-c", SETTLED], check=True, timeout=30)
