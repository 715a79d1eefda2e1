"""Settings out of a TOML file, the environment and flags; the later wins, and each value knows its origin."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, TypeVar

from stellarrow.config.settings import Setting, Settings, settings_of
from stellarrow.errors import ConfigError, nearest
from stellarrow.net.redaction import redacted_text
from stellarrow.storage.paths import given_text, local_path

if TYPE_CHECKING:
    from stellarrow.config.older import Translated

FILE: Final = "stellarrow.toml"
FILE_VARIABLE: Final = "STELLARROW_CONFIG"
OLDER_VARIABLE: Final = "CONFIG_FILE"  # by which the older components are told their file
# Which of the older components a service takes the place of; each has words of its own in its YAML.
OLDER_COMPONENTS: Final[Mapping[str, str]] = {
    "source": "source",
    "processor": "processor",
    "sink": "analytics",
    "analytics": "analytics",
}
SHARED: Final = "security"  # a section of the file for every service that listens
QUERIES: Final = "queries"  # a section of the file that saved_queries.py reads
# What the older family of components calls some settings of that section.
_OLDER: Final = {"cert_file": "tls_certificate", "key_file": "tls_key", "auth_type": "auth"}
_OLDER_SWITCH: Final = "auth_enabled"  # false, nobody is asked, whatever auth_type says

Service = TypeVar("Service", bound=Settings)


def read(
    service: type[Service],
    flags: Mapping[str, str | tuple[str, ...] | None] | None = None,
    *,
    environ: Mapping[str, str] | None = None,
    file: str | os.PathLike[str] | None = None,
) -> Service:
    """Read a service's settings; `flags` are by setting's name, None where not given.

    `file` is what find_file() found; a wrong value anywhere is a ConfigError, even one that is overridden.
    """
    environ = os.environ if environ is None else environ
    given: dict[str, tuple[Any, str]] = {}
    for key, text, origin in (
        *(_from_some_file(Path(file), service) if file else ()),
        *_from_environment(environ, settings_of(service)),
        *((key, text, _flag(key)) for key, text in (flags or {}).items() if text is not None),
    ):
        given[key] = (_value(settings_of(service)[key], text, origin), origin)
    return service(
        **{key: value for key, (value, _) in given.items()},
        origins=MappingProxyType({key: origin for key, (_, origin) in given.items()}),
        file=Path(file) if file else None,
    )


def find_file(
    named: str | None = None,
    *,
    environ: Mapping[str, str] | None = None,
    service: type[Settings] | None = None,
) -> Path | None:
    """Return the file of settings: the one named, or that of STELLARROW_CONFIG, or ./stellarrow.toml.

    A service that takes an older component's place is also told it by CONFIG_FILE, as that was.
    """
    environ = os.environ if environ is None else environ
    is_older = service is not None and environ.get(OLDER_VARIABLE) and _name(service) in OLDER_COMPONENTS
    variables = [FILE_VARIABLE, *([OLDER_VARIABLE] if is_older else [])]
    for origin, path in (("--config", named), *((name, environ.get(name)) for name in variables)):
        if path:
            if not local_path(path).is_file():
                raise ConfigError(f"{origin} names {path}, which is no file: fix the path, or leave it out")
            return local_path(path)
    return Path(FILE) if Path(FILE).is_file() else None


def _services() -> Mapping[str, type[Settings]]:
    """Return the settings of every service: only a file is for all of them."""
    from stellarrow.config.services import SERVICES  # noqa: PLC0415  it takes time to make them all

    return SERVICES


def _name(service: type[Settings]) -> str:
    return next(name for name, one in _services().items() if one is service)


def _from_some_file(path: Path, service: type[Settings]) -> Iterator[tuple[str, Any, str]]:
    return (_from_yaml if is_yaml(path) else _from_file)(path, _name(service))


def _flag(key: str) -> str:
    return "--" + key.replace("_", "-")


def _from_environment(
    environ: Mapping[str, str], known: Mapping[str, Setting]
) -> Iterator[tuple[str, str, str]]:
    """Yield what is set; an empty variable is not. Two names of one setting must agree."""
    for key, one in known.items():
        given = dict(_variables(one, environ))
        named = list(given)
        values = {name: _value(one, text, _variable(name)) for name, text in given.items()}
        if len(set(values.values())) > 1:
            text = " but ".join(f"{name} is {one.kind.shown(given[name])!r}" for name in named)
            raise ConfigError(f"{text}, which mean one setting: give {named[0]} alone")
        if named:
            yield key, given[named[0]], _variable(named[0])


def _variables(one: Setting, environ: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield the variables that give a setting; a secret's NAME_FILE names the file that holds it."""
    for name in one.variables:
        if environ.get(name):
            yield name, environ[name]
        if one.kind.is_secret and (path := environ.get(f"{name}_FILE")):
            try:
                yield f"{name}_FILE", given_text(local_path(path)).strip()
            except (OSError, UnicodeDecodeError) as error:
                raise ConfigError(
                    f"{name}_FILE names {path}, which cannot be read ({error}): name the file with the secret"
                ) from error


def _variable(name: str) -> str:
    return f"{name} in the environment"


def _from_file(path: Path, service: str) -> Iterator[tuple[str, str | tuple[str, ...], str]]:
    """Yield what the file says to a service: what stands at the top, then its own section."""
    held = _renamed(parsed(path))
    held.pop(QUERIES, None)
    _refuse_unknown(held, path)
    own = settings_of(_services()[service])
    top = {key: value for key, value in held.items() if not isinstance(value, dict)}
    named = ((held.get(section, {}), f"{path} [{section}]") for section in (SHARED, service))
    for content, place in ((top, f"{path}"), *named):
        for key, value in content.items():
            if _key(key) in own:
                yield _key(key), _plain(value, f"{key} in {place}"), f"{key} in {place}"


def _refuse_unknown(held: Mapping[str, Any], path: Path) -> None:
    from stellarrow.config.security import Listening  # noqa: PLC0415  as above

    services = _services()
    everywhere = sorted({key for one in services.values() for key in settings_of(one)})
    sections = {**services, SHARED: Listening}
    for section, content in held.items():
        if isinstance(content, dict):
            if section not in sections:
                raise _unknown(f"{path} has a section [{section}]", "service", section, sorted(sections))
            known = settings_of(sections[section])
            for key in content:
                if _key(key) not in known:
                    raise _unknown(f"{path}, section [{section}], has {key!r}", "setting", key, sorted(known))
        elif _key(section) not in everywhere:
            if section in sections:
                raise ConfigError(f"{path} gives {section} a value, but it is a section: write [{section}]")
            raise _unknown(f"{path} has {section!r}", "setting", section, [*everywhere, *services])


def is_yaml(path: Path) -> bool:
    """Tell whether a file is an older component's, by its name."""
    return path.suffix.lower() in (".yaml", ".yml")


def translated(path: Path, service: str) -> Translated:
    """Return what an older component's file says to the service in its place."""
    from stellarrow.config.older import Translator  # noqa: PLC0415  few have such a file
    from stellarrow.config.yaml_file import parse  # noqa: PLC0415  as above

    component = OLDER_COMPONENTS.get(service, service)
    return Translator(component, _services()[service], str(path)).translate(parse(path))


def _from_yaml(path: Path, service: str) -> Iterator[tuple[str, str | tuple[str, ...], str]]:
    own = settings_of(_services()[service])
    for name, (value, key) in translated(path, service).given.items():
        if name in own:
            yield name, value, f"{key} in {path}"


def _renamed(held: dict[str, Any]) -> dict[str, Any]:
    """Return what a file holds with the names of now in section [security]."""
    section = held.get(SHARED)
    if not isinstance(section, dict):
        return held
    kept = {key: value for key, value in section.items() if _key(key) != _OLDER_SWITCH}
    is_off = len(kept) < len(section) and section.get(_OLDER_SWITCH, section.get("auth-enabled")) is False
    named = {_OLDER.get(_key(key), key): value for key, value in kept.items()}
    return {**held, SHARED: {**named, "auth": ""} if is_off else named}


def _key(written: str) -> str:
    return written.replace("-", "_")


def parsed(path: Path) -> dict[str, Any]:
    """Return what a settings file holds; ConfigError where it cannot be read."""
    try:
        return tomllib.loads(given_text(path))
    except OSError as error:
        raise ConfigError(
            f"{path} cannot be read ({os.strerror(error.errno or 0)}): fix that or leave it out"
        ) from error
    except (ValueError, RecursionError) as error:  # not TOML, not UTF-8, or nested without end
        raise ConfigError(f"{path} is no TOML ({error}): fix it, or leave it out") from error


def _unknown(what: str, noun: str, written: str, known: list[str]) -> ConfigError:
    remedy = nearest(_key(written), known, f"choose among {', '.join(known)}")
    return ConfigError(f"{what}, which is no {noun}: {remedy}")


def _plain(value: Any, origin: str) -> str | tuple[str, ...]:
    """Write a TOML value as it would stand in the environment."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list) and all(isinstance(one, str) for one in value):
        return tuple(value)
    if isinstance(value, str | int | float):
        return str(value)
    raise ConfigError(
        f"{origin} is a {type(value).__name__}: write text, a number, a boolean or a list of texts"
    )


def _value(one: Setting, given: str | tuple[str, ...], origin: str) -> Any:
    """Read what was given; a list needs no commas."""
    try:
        if isinstance(given, str):
            return one.kind.read(given.strip())
        if isinstance(one.kind.read(""), tuple):
            for text in given:
                one.kind.check(text)
            return given
    except ValueError as error:
        if one.kind.explains:
            raise ConfigError(f"{origin}: {error}") from error
        nearest = str(error) if str(error).startswith("did you mean") else ""
    else:
        nearest = ""
    answer = redacted_text(one.kind.shown(given if isinstance(given, str) else ",".join(given)))
    remedy = f"{nearest} It must be" if nearest else "it must be"
    raise ConfigError(f"{origin} is {answer!r}: {remedy} {one.kind.allowed}")
