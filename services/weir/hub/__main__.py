"""`python -m weir.hub`: this stage alone."""

from weir.hub.service import HubService
from weir.runtime.process import main

raise SystemExit(main([HubService]))
