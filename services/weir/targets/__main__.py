"""`python -m weir.targets`: this stage alone."""

from weir.runtime.process import main
from weir.targets.service import TargetsService

raise SystemExit(main([TargetsService]))
