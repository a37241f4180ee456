"""The `weir` command: parses arguments, starts stages, renders results. It has no logic of its own beyond that."""
