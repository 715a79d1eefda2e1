"""Settings files of the older components, whose YAML is read as it is: its words, and what they are here."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from stellarrow.config.older_words import (
    ANALYTICS,
    AUTH,
    BUCKETS,
    KEY_HEADERS,
    OWN,
    RENAMED,
    RESILIENCE,
    RULES,
    SECURITY,
    SECURITY_SILENT,
    SILENT,
)
from stellarrow.config.security import Listening
from stellarrow.config.settings import Setting, Settings, settings_of
from stellarrow.errors import ConfigError, nearest

Given = str | tuple[str, ...]


@dataclass(slots=True)
class Translated:
    """What a file says in our words, by setting: the value and where it stands; and what needs no setting."""

    given: dict[str, tuple[Given, str]] = field(default_factory=dict)
    silent: dict[str, str] = field(default_factory=dict)

    def set(self, name: str, value: Given, key: str) -> None:
        if name in self.given:
            raise ConfigError(f"{self.given[name][1]} and {key} mean one setting: keep one")
        self.given[name] = (value, key)


class Translator:
    """Reads one component's file; `known` are the settings of the service that takes it."""

    def __init__(self, component: str, service: type[Settings], path: str) -> None:
        self._component = component
        self._path = path
        self._settings = settings_of(service)
        self._names = names_of(self._settings)
        self._made = Translated()
        self._special: dict[str, Callable[[dict[str, Any]], None]] = {
            "source": self._source,
            "processor": self._processor,
        }

    def translate(self, held: Mapping[str, Any]) -> Translated:
        """Return the settings; ConfigError for a key that is not known, with the nearest that is."""
        flat = dict(held)
        self._security(self._section(flat, "security"))
        self._resilience(self._section(flat, "resilience"))
        if special := self._special.get(self._component):
            special(flat)
        renamed = RENAMED.get(self._component, {})
        silent = SILENT.get(self._component, {})
        for key, value in flat.items():
            name = self._names.get(renamed.get(key, key))
            if value is None and (name or key in renamed or key in silent):
                continue
            if name:
                self._made.set(name, self._plain(value, key), key)
            elif key in silent or key in renamed:
                self._made.silent[key] = silent.get(key, ANALYTICS)
            else:
                raise self._unknown(key, [*self._names, *renamed, *silent, "security", "resilience"])
        return self._made

    def _section(self, held: dict[str, Any], name: str) -> dict[str, Any]:
        section = held.pop(name, None)
        if section is not None and not isinstance(section, dict):
            raise ConfigError(f"{self._path}: {name} is no mapping: write its settings below it, indented")
        return dict(section or {})

    def _source(self, held: dict[str, Any]) -> None:
        """Tell where ledgers come from: the older component has a kind and the words for each."""
        kind = str(held.pop("source_type", None) or "")
        backend = str(held.pop("backend_type", None) or "")
        rpc, buckets = held.pop("rpc_endpoint", None), [held.pop(key, None) for key in BUCKETS]
        store = held.pop("storage_backend", None)
        bucket, path = next(filter(None, buckets[:2]), None), buckets[2]
        kind = kind or ("rpc" if rpc else "datalake" if bucket or path else "")
        if kind not in ("", "rpc", "datalake") or backend in ("captive_core", "archive"):
            key, value = (
                ("source_type", kind) if kind not in ("", "rpc", "datalake") else ("backend_type", backend)
            )
            raise ConfigError(f"{self._path}: {key} {value!r} is not offered: use rpc or datalake")
        if kind == "rpc" and rpc:
            self._made.set("rpc", self._plain(rpc, "rpc_endpoint"), "rpc_endpoint")
        if kind == "datalake":
            self._made.set("source", _lake(store, bucket, path, self._path), "source_type")

    def _processor(self, held: dict[str, Any]) -> None:
        """Take endpoints for Flight, which the older chain speaks, and all the source has for asked."""
        for key in ("source_endpoint", "output_endpoint"):
            if isinstance(value := held.get(key), str) and value and "://" not in value:
                held[key] = f"flight://{value}"
        assets = held.pop("asset_filters", None)
        for one in assets if isinstance(assets, list) else ():
            code, issuer = (
                (one.get(key) for key in ("asset_code", "asset_issuer"))
                if isinstance(one, dict)
                else ("", "")
            )
            held["include_assets"] = [
                *(held.get("include_assets") or ()),
                f"{code}:{issuer}" if issuer else code,
            ]
        amounts = held.pop("amount_filters", None)
        if isinstance(amounts, dict) and any(amounts.values()):
            raise ConfigError(
                f"{self._path}: amount_filters are not offered: readers ask for amounts by where, such as"
                " amount_raw > 10000000"
            )
        if not held.get("tables"):
            held["tables"] = ["token_transfers"]  # all that the older component makes
        if not held.get("start_ledger") and held.get("follow_source") is None:
            held["follow_source"] = "true"

    def _security(self, held: dict[str, Any]) -> None:
        held = {key: value for key, value in held.items() if value not in (None, "")}
        self._switch(
            held, "tls_enabled", ("cert_file", "key_file", "ca_file"), needs="cert_file and key_file"
        )
        auth = str(held.pop("auth_type", "api_key"))
        if _is_true(held.pop("auth_enabled", "false")):
            if auth not in AUTH:
                raise self._wrong("security.auth_type", auth, "api_key, jwt or mutual_tls")
            self._made.set("auth", AUTH[auth], "security.auth_type")
        secret = held.pop("jwt_secret", None)
        if secret and "auth" in self._made.given and auth == "jwt":
            raise ConfigError(
                f"{self._path}: put security.jwt_secret into a file and name it in jwt_key_file"
            )
        header = str(held.pop("api_key_header", KEY_HEADERS[0]))
        if header.lower() not in KEY_HEADERS:
            raise self._wrong("security.api_key_header", header, "Authorization or X-API-Key")
        self._switch(held, "cors_enabled", ("cors_origins",))
        rate = held.pop("rate_limit_rps", None)
        if _is_true(held.pop("rate_limit_enabled", "true" if rate else "false")) and rate:
            for name in ("rate_limit", "rate_limit_anonymous"):
                self._made.set(name, f"{rate}/s", f"security.rate_limit_rps as {name}")
        own = settings_of(Listening)
        for key, value in held.items():
            if name := SECURITY.get(key, key if key in own else ""):
                self._made.set(name, self._plain(value, f"security.{key}"), f"security.{key}")
            elif key in SECURITY_SILENT:
                self._made.silent[f"security.{key}"] = SECURITY_SILENT[key]
            else:
                raise self._unknown(f"security.{key}", [f"security.{one}" for one in _security_words()])

    def _switch(self, held: dict[str, Any], key: str, of: tuple[str, ...], *, needs: str = "") -> None:
        """Leave out what a switch turns off, or refuse one that is on and has nothing to turn on."""
        if key not in held:
            return
        if not _is_true(held.pop(key)):
            for one in of:
                held.pop(one, None)
        elif needs and not held.keys() & {*of, "tls_certificate"}:
            raise ConfigError(f"{self._path}: security.{key} is true, and {needs} name nothing: name them")

    def _resilience(self, held: dict[str, Any]) -> None:
        for key in held:
            if key not in RESILIENCE:
                raise self._unknown(f"resilience.{key}", [f"resilience.{one}" for one in RESILIENCE])
            self._made.silent[f"resilience.{key}"] = RULES

    def _plain(self, value: Any, key: str) -> Given:
        if isinstance(value, list) and all(isinstance(one, str) for one in value):
            return tuple(value)
        if isinstance(value, str):
            return value
        raise ConfigError(f"{self._path}: {key} is no plain value: write a text, a number or a list of texts")

    def _unknown(self, key: str, known: list[str]) -> ConfigError:
        remedy = nearest(key, known, "`stellarrow config show` names all there are")
        return ConfigError(
            f"{self._path} has {key!r}, which is no setting of the {self._component}: {remedy}"
        )

    def _wrong(self, key: str, value: str, allowed: str) -> ConfigError:
        return ConfigError(f"{self._path}: {key} is {value!r}: it must be {allowed}")


def _assets(listed: Any, place: str) -> list[str]:
    """Return what asset_filters name: pairs of asset_code and asset_issuer, of which one may lack."""
    found = []
    for one in listed if isinstance(listed, list) else [listed]:
        code, issuer = (one.get("asset_code"), one.get("asset_issuer")) if isinstance(one, dict) else ("", "")
        if not code:
            raise ConfigError(f"{place}: asset_filters takes asset_code, with asset_issuer where it is meant")
        found.append(f"{code}:{issuer}" if issuer else code)
    return found


def _lake(store: Any, bucket: Any, path: Any, place: str) -> str:
    """Return the URL of a lake, in a bucket or in a folder."""
    scheme = {"s3": "s3", "gcs": "gs", "filesystem": "", "fs": "", "": ""}.get(str(store or ""))
    if scheme is None:
        raise ConfigError(f"{place}: storage_backend is {store!r}: it must be s3, gcs or filesystem")
    if bucket:
        below = f"/{str(path).strip('/')}" if path else ""
        return f"{scheme or 's3'}://{bucket}{below}"
    if path and not scheme:
        return str(path)
    raise ConfigError(f"{place}: source_type is datalake: name s3_bucket, or storage_path for a folder")


def _is_true(value: Any) -> bool:
    return str(value).strip().lower() in ("true", "yes", "on", "1", "y")


def _security_words() -> Iterator[str]:
    yield from ("tls_enabled", "auth_enabled", "auth_type", "jwt_secret", "api_key_header", "cors_enabled")
    yield from ("rate_limit_enabled", "rate_limit_rps")
    yield from (*SECURITY, *SECURITY_SILENT, *settings_of(Listening))


def names_of(known: Mapping[str, Setting]) -> dict[str, str]:
    """Return how settings may be written, each with its name: so, or as its variable in small letters."""
    variables = {one.lower(): name for name, setting in known.items() for one in setting.variables}
    return {**variables, **{name: name for name in known}}


def likeness(component: str, service: type[Settings], held: Mapping[str, Any]) -> int:
    """Return how many of a file's keys are of a component and no other's, for a guess whose file it is."""
    words = {*RENAMED[component], *SILENT[component], *OWN[component]}
    return sum(key in words for key in held) - sum(
        key not in words and key not in names_of(settings_of(service)) for key in held
    )
