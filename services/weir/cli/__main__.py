"""`python -m weir.cli`."""

from weir.cli.main import main

raise SystemExit(main())
