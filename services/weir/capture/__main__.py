"""`python -m weir.capture`: this stage alone."""

from weir.capture.service import CaptureService
from weir.runtime.process import main

raise SystemExit(main([CaptureService]))
