"""How entries and tables look on a terminal."""
