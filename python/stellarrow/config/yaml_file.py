"""YAML of strangers, read within bounds: mappings, lists and texts, nothing that is made of them.

A scalar stays the text it is written as: what it means, the setting knows that it is for.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from stellarrow.errors import ConfigError
from stellarrow.extras import needing

with needing("a YAML file", "servers"):
    import yaml

_FILE_BYTES: Final = 256 << 10
_DEPTH: Final = 16
_VALUES: Final = 10_000  # with what aliases repeat
_NOTHING: Final = frozenset(("", "~", "null", "Null", "NULL"))
_TAGS: Final = frozenset(
    f"tag:yaml.org,2002:{name}" for name in ("str", "int", "float", "bool", "null", "map", "seq")
)


@dataclass(slots=True)
class _Node:
    """A value, and how many it is made of."""

    value: Any
    count: int = 1


class _Refused(Exception):
    """Why a file is not taken, and where."""

    def __init__(self, reason: str, event: yaml.Event) -> None:
        mark = event.start_mark
        super().__init__(f"line {mark.line + 1}: {reason}" if mark else reason)


def parse(path: Path) -> dict[str, Any]:
    """Read a file of settings: one mapping, of texts, lists and mappings; null is None."""
    text = _text(path)
    try:
        found = _Reader(yaml.parse(text, Loader=yaml.SafeLoader)).document()
    except _Refused as error:
        raise ConfigError(f"{path}, {error}") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())
        raise ConfigError(f"{path} is no YAML ({reason}): fix it, or leave it out") from error
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise ConfigError(f"{path} holds no settings: write one a line, such as network_passphrase: pubnet")
    return found


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(_FILE_BYTES + 1)
    except OSError as error:
        raise ConfigError(f"{path} cannot be read ({error.strerror}): fix that or leave it out") from error
    if len(data) > _FILE_BYTES:
        raise ConfigError(f"{path} is larger than {_FILE_BYTES >> 10} KiB: it is no file of settings")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not UTF-8 ({error}): write it anew, or leave it out") from error


class _Reader:
    """Makes values of the parser's events: no object that the file names, no depth or number it chooses."""

    def __init__(self, events: Iterator[yaml.Event]) -> None:
        self._events = events
        self._anchors: dict[str, _Node] = {}

    def document(self) -> Any:
        """Return what the one document holds; None where there is none."""
        next(self._events)
        event = next(self._events)
        if isinstance(event, yaml.StreamEndEvent):
            return None
        found = self._node(next(self._events), 0).value
        next(self._events)
        event = next(self._events)
        if not isinstance(event, yaml.StreamEndEvent):
            raise _Refused("a second document begins: keep one", event)
        return found

    def _node(self, event: yaml.Event, depth: int) -> _Node:
        if isinstance(event, yaml.AliasEvent):
            if event.anchor not in self._anchors:
                raise _Refused(f"the alias *{event.anchor} names nothing before it: write the value", event)
            return self._anchors[event.anchor]
        assert isinstance(event, yaml.ScalarEvent | yaml.CollectionStartEvent)  # noqa: S101  nothing else begins
        if event.tag is not None and event.tag not in _TAGS and event.tag != "!":
            raise _Refused(f"the tag {event.tag!r} is not taken: write a plain value", event)
        if depth > _DEPTH:
            raise _Refused(f"it is nested deeper than {_DEPTH}: settings are not", event)
        if isinstance(event, yaml.ScalarEvent):
            is_nothing = event.style is None and event.value in _NOTHING
            node = _Node(None if is_nothing else event.value)
        else:
            node = self._list(depth) if isinstance(event, yaml.SequenceStartEvent) else self._mapping(depth)
        if node.count > _VALUES:
            raise _Refused(f"it holds more than {_VALUES} values: it is no file of settings", event)
        if event.anchor:
            self._anchors[event.anchor] = node
        return node

    def _list(self, depth: int) -> _Node:
        made = _Node([])
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            node = self._node(event, depth + 1)
            made.value.append(node.value)
            self._add(made, node, event)
        return made

    def _mapping(self, depth: int) -> _Node:
        own, merged = _Node({}), dict[str, Any]()
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            if not isinstance(event, yaml.ScalarEvent):
                raise _Refused("a key must be a text", event)
            node = self._node(next(self._events), depth + 1)
            self._add(own, node, event)
            if event.value == "<<" and event.style is None:
                merged |= _merged(node.value, event)
            elif event.value in own.value:
                raise _Refused(f"{event.value!r} stands there twice: keep one", event)
            else:
                own.value[event.value] = node.value
        own.value = {**merged, **own.value}
        return own

    def _add(self, made: _Node, node: _Node, event: yaml.Event) -> None:
        made.count += node.count
        if made.count > _VALUES:
            raise _Refused(f"it holds more than {_VALUES} values: it is no file of settings", event)


def _merged(value: Any, event: yaml.Event) -> dict[str, Any]:
    """Return what the key << adds: of several mappings the first counts."""
    listed = value if isinstance(value, list) else [value]
    if not all(isinstance(one, dict) for one in listed):
        raise _Refused("<< takes mappings", event)
    return {key: held for one in reversed(listed) for key, held in one.items()}
