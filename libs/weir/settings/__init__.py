"""One declaration, many renderings: a frozen msgspec struct a section; flags, environment, file and docs follow.

`declare` reads the structs, `load` merges defaults < file < environment < flags and says where each value came from,
`flags` puts them into argparse. Nothing reads the environment at import.
"""

from weir.settings.declare import Setting, settings_of
from weir.settings.load import Loaded, load

__all__ = ["Loaded", "Setting", "load", "settings_of"]
