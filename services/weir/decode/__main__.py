"""`python -m weir.decode`: this stage alone."""

from weir.decode.service import DecodeService
from weir.runtime.process import main

raise SystemExit(main([DecodeService]))
