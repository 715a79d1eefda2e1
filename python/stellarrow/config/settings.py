"""What a setting is, and what all classes of settings have."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import Field, dataclass, field, fields
from pathlib import Path
from typing import Any, Final

from stellarrow.config.values import Kind

DEFAULT: Final = "default"


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting: its kind, its default, the environment variables that give it, and what it is for."""

    kind: Kind[Any]
    default: str | None
    variables: tuple[str, ...]
    help: str


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What every service has: where each value came from, such as `LOG_LEVEL in the environment`.

    `file` is the settings file that was read, which saves queries, too.
    """

    origins: Mapping[str, str] = field(default_factory=dict, repr=False, compare=False)
    file: Path | None = field(default=None, repr=False, compare=False)

    def origin(self, name: str) -> str:
        """Return what a setting was given by, or the flag that gives it."""
        return self.origins.get(name, "--" + name.replace("_", "-"))

    @property
    def holds_secret(self) -> bool:
        """Tell whether a password, a token or the file of a key is set."""
        return any(
            bool(getattr(self, name))
            for name, one in settings_of(type(self)).items()
            if one.kind.is_secret or "key" in name
        )

    def shown(self) -> Iterator[tuple[str, str | None, str]]:
        """Yield name, value and origin of every setting; secrets are masked, what is not set is None."""
        for name, one in settings_of(type(self)).items():
            value = getattr(self, name)
            yield (
                name,
                None if value is None else one.kind.shown(_text(value)),
                self.origins.get(name, DEFAULT),
            )


def setting(kind: Kind[Any], default: str | None, *variables: str, help: str) -> Any:
    """Declare a field of a Settings class; the default reads as people would write it."""
    value = None if default is None else kind.read(default)
    return field(default=value, metadata={"setting": Setting(kind, default, variables, help)})


def settings_of(service: type[Settings]) -> dict[str, Setting]:
    """Return the settings of a service by name."""
    declared: tuple[Field[Any], ...] = fields(service)
    return {one.name: one.metadata["setting"] for one in declared if "setting" in one.metadata}


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:g}s"  # the only settings that are not whole are durations
    return ",".join(value) if isinstance(value, tuple) else str(value)
