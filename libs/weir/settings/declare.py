"""What a section declares: each field of its struct as a `Setting`."""

from __future__ import annotations

import typing
from typing import Any

import msgspec


class Setting(msgspec.Struct, frozen=True, kw_only=True):
    """One setting with all its names."""

    section: str
    name: str
    type: Any
    """The annotation, bounds included."""
    default: Any
    doc: str
    secret: bool
    """Never printed; may be given as a file name in `<env>_FILE`."""
    bounds: str
    """For people, e.g. `1 to 65535`; empty without bounds."""

    @property
    def path(self) -> str:
        """The key in a file: `capture.snaplen`."""
        return f"{self.section}.{self.name}"

    @property
    def flag(self) -> str:
        return "--" + self.path.replace("_", "-")

    @property
    def env(self) -> str:
        return "WEIR_" + self.path.replace(".", "_").upper()

    @property
    def is_list(self) -> bool:
        return typing.get_origin(self.bare_type) in (list, tuple)

    @property
    def bare_type(self) -> Any:
        return typing.get_args(self.type)[0] if typing.get_origin(self.type) is typing.Annotated else self.type

    @property
    def type_name(self) -> str:
        """For people: `int`, `list of str`, `auto | on | off`."""
        bare = self.bare_type
        origin, args = typing.get_origin(bare), typing.get_args(bare)
        if origin is typing.Literal:
            return " | ".join(str(a) for a in args)
        if origin in (list, tuple):
            return f"list of {getattr(args[0], '__name__', args[0])}"
        return getattr(bare, "__name__", str(bare))

    def shown(self, value: Any) -> str:
        """The value as it may be printed."""
        if self.secret and value:
            return "***"
        if isinstance(value, list | tuple):
            return ",".join(str(v) for v in value)
        return str(value).lower() if isinstance(value, bool) else str(value)


def settings_of(section: str, struct: type[msgspec.Struct]) -> list[Setting]:
    """The settings that a section's struct declares, in its order."""
    hints = typing.get_type_hints(struct, include_extras=True)
    return [
        _setting(section, field, hints[field.name]) for field in msgspec.structs.fields(struct)
    ]


def _setting(section: str, field: msgspec.structs.FieldInfo, hint: Any) -> Setting:
    metas = [a for a in typing.get_args(hint)[1:] if isinstance(a, msgspec.Meta)]
    default = field.default_factory() if field.default_factory is not msgspec.NODEFAULT else field.default
    return Setting(
        section=section,
        name=field.name,
        type=hint,
        default=default,
        doc=" ".join(m.description for m in metas if m.description),
        secret=any((m.extra or {}).get("secret") for m in metas),
        bounds=_bounds(metas),
    )


def _bounds(metas: list[msgspec.Meta]) -> str:
    low = next((b for m in metas for b in (m.ge, m.gt) if b is not None), None)
    high = next((b for m in metas for b in (m.le, m.lt) if b is not None), None)
    if low is not None and high is not None:
        return f"{low} to {high}"
    if low is not None:
        return f"at least {low}"
    return f"at most {high}" if high is not None else ""
