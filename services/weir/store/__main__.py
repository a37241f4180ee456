"""`python -m weir.store`: this stage alone."""

from weir.runtime.process import main
from weir.store.service import StoreService

raise SystemExit(main([StoreService]))
