"""Merging defaults < file < environment < flags, and telling people what is wrong with a value."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from weir.errors import SettingsError
from weir.settings.declare import Setting, settings_of


class Origin(msgspec.Struct, frozen=True):
    """Where a value came from: `default`, `file weir.yaml`, `environment WEIR_X`, `flag --x`."""

    source: str
    raw: Any = None


class Loaded(msgspec.Struct, frozen=True):
    """Settings in force."""

    sections: dict[str, Any]
    """Section name → its struct."""
    origins: dict[str, Origin]
    """Path → where the value came from."""
    settings: dict[str, Setting]

    def __getitem__(self, section: str) -> Any:
        return self.sections[section]

    def value(self, path: str) -> Any:
        section, name = path.split(".", 1)
        return getattr(self.sections[section], name)


def load(
    declared: Mapping[str, type[msgspec.Struct]],
    *,
    file: str | Path | None = None,
    environ: Mapping[str, str] | None = None,
    flags: Mapping[str, Any] | None = None,
    aliases: Mapping[str, str] | None = None,
    elsewhere: Collection[str] = (),
) -> Loaded:
    """Merge all sources for the declared sections.

    `flags` maps paths to raw values (text, or lists of text); `aliases` maps further environment names to paths
    (`WEIR_TOKEN` → `hub.token`); `elsewhere` are sections of other processes, so that one file can serve all.
    Raises `SettingsError` for unknown names and values of wrong type or size.
    """
    settings = {s.path: s for section, struct in declared.items() for s in settings_of(section, struct)}
    raw: dict[str, Origin] = {}
    if file is not None:
        raw.update(_from_file(Path(file), settings, elsewhere))
    raw.update(_from_environment(environ or {}, settings, aliases or {}))
    for path, value in (flags or {}).items():
        if value is not None:
            raw[path] = Origin(f"flag {settings[path].flag}", value)
    sections: dict[str, Any] = {}
    origins: dict[str, Origin] = {}
    for section, struct in declared.items():
        values: dict[str, Any] = {}
        for setting in settings_of(section, struct):
            origin = raw.get(setting.path)
            origins[setting.path] = origin or Origin("default")
            if origin is not None:
                values[setting.name] = convert(setting, origin)
        sections[section] = struct(**values)
    return Loaded(sections, origins, settings)


def convert(setting: Setting, origin: Origin) -> Any:
    """The raw value as the setting's type, or a `SettingsError` that says what would be right."""
    raw = origin.raw
    if setting.is_list and isinstance(raw, str):
        raw = [part.strip() for part in raw.split(",") if part.strip()]
    elif setting.is_list and isinstance(raw, list) and origin.source.startswith("flag"):
        raw = [part.strip() for item in raw for part in str(item).split(",") if part.strip()]
    try:
        return msgspec.convert(raw, setting.type, strict=False)
    except msgspec.ValidationError as error:
        want = setting.type_name + (f", {setting.bounds}" if setting.bounds else "")
        raise SettingsError(
            f"{setting.path} = {setting.shown(origin.raw)!r} ({origin.source}): {_complaint(error, raw)}",
            hint=f"{setting.path} takes {want}: {setting.doc}",
        ) from None


def _complaint(error: msgspec.ValidationError, raw: Any) -> str:
    """msgspec's words. That text was found is no news: flags and environment have nothing else."""
    told = str(error).split(" - ")[0]
    return told.removesuffix(", got `str`") if isinstance(raw, str) else told


def nearest(name: str, known: Iterable[str]) -> str:
    """The known name that was probably meant, as a hint; empty if none is near."""
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f"did you mean {close[0]}?" if close else ""


def _from_environment(
    environ: Mapping[str, str], settings: Mapping[str, Setting], aliases: Mapping[str, str]
) -> dict[str, Origin]:
    names = {s.env: s.path for s in settings.values()} | dict(aliases)
    found: dict[str, Origin] = {}
    for name, path in names.items():
        if path not in settings:
            continue
        if name in environ:
            found[path] = Origin(f"environment {name}", environ[name])
        elif settings[path].secret and (file := environ.get(name + "_FILE")):
            found[path] = Origin(f"environment {name}_FILE", _secret_file(file, name))
    return found


def misspelt_environment(environ: Mapping[str, str], known: Iterable[str], ours: Iterable[str]) -> list[str]:
    """Names that are none of the settings and nearly one, each with that: told, not refused, because others name
    variables, too (Kubernetes one for each port of a service). `ours` are prefixes of names whose nearest setting can
    be far off."""
    names = set(known)
    found = []
    for name in sorted(environ):
        if not name.startswith("WEIR_") or name in names or name.removesuffix("_FILE") in names:
            continue
        cutoff = 0.75 if name.startswith(tuple(ours)) else 0.9
        if close := difflib.get_close_matches(name, names, n=1, cutoff=cutoff):
            found.append(f"{name} is no setting of weir: did you mean {close[0]}?")
    return found


def _secret_file(file: str, name: str) -> str:
    try:
        return Path(file).read_text(encoding="utf-8").strip()
    except OSError as error:
        raise SettingsError(
            f"{name}_FILE: cannot read {file}: {error.strerror}", hint=f"the file holds the value of {name}"
        ) from error


def _from_file(file: Path, settings: Mapping[str, Setting], elsewhere: Collection[str]) -> dict[str, Origin]:
    document = _parse_file(file)
    sections = {path.split(".", 1)[0] for path in settings}
    found: dict[str, Origin] = {}
    for section, values in document.items():
        if section not in sections and section in elsewhere:
            continue
        if section not in sections:
            every = sections | set(elsewhere)
            hint = nearest(str(section), every) or f"sections are {', '.join(sorted(every))}"
            raise SettingsError(f"{file}: unknown section {section!r}", hint=hint)
        if not isinstance(values, dict):
            hint = f"put its settings below {section}:"
            raise SettingsError(f"{file}: section {section!r} is not a mapping", hint=hint)
        for name, value in values.items():
            path = f"{section}.{str(name).replace('-', '_')}"
            if path not in settings:
                known = [s.name for s in settings.values() if s.section == section]
                hint = nearest(str(name), known) or f"settings of {section} are {', '.join(known)}"
                raise SettingsError(f"{file}: unknown setting {path}", hint=hint)
            found[path] = Origin(f"file {file}", value)
    return found


def _parse_file(file: Path) -> dict[str, Any]:
    import yaml  # only a command with --config pays for it

    try:
        document = yaml.safe_load(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(f"{file}: {error.strerror}", hint="--config names a YAML file") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SettingsError(
            f"{file}: not YAML: {' '.join(str(error).split())}", hint="write `capture:` and its settings below it"
        ) from error
    if document is None:
        return {}
    if not isinstance(document, dict):
        raise SettingsError(f"{file}: not a mapping of sections", hint="write `capture:` and its settings below it")
    return document
