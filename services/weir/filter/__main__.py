"""`python -m weir.filter`: this stage alone."""

from weir.filter.service import FilterService
from weir.runtime.process import main

raise SystemExit(main([FilterService]))
