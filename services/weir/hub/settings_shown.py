"""Settings in force, as people may see them. Pure."""

from __future__ import annotations

from weir.hub.answers import SettingShown
from weir.hub.settings import HubSettings
from weir.settings import Loaded
from weir.settings.declare import Setting, settings_of


def in_force(loaded: Loaded | None, own: HubSettings) -> list[SettingShown]:
    """Those of the whole process where it tells, else the hub's own; by name."""
    if loaded is None:
        shown = [
            _shown(setting, getattr(own, setting.name), "") for setting in settings_of("hub", HubSettings)
        ]
    else:
        shown = [
            _shown(setting, loaded.value(path), loaded.origins[path].source)
            for path, setting in loaded.settings.items()
        ]
    return sorted(shown, key=lambda one: one.name)


def _shown(setting: Setting, value: object, source: str) -> SettingShown:
    return SettingShown(
        name=setting.path, value=setting.shown(value), default=setting.shown(setting.default), doc=setting.doc,
        source=source or ("default" if value == setting.default else "given"),
    )
