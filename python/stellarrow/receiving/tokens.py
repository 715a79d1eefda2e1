"""Where streams are to be taken up again, kept over restarts."""

from __future__ import annotations

import json
import threading
from pathlib import Path

from stellarrow.errors import SinkUnavailable
from stellarrow.storage.atomic import written_aside
from stellarrow.storage.os_errors import reason, remedy
from stellarrow.storage.private import private_file, private_folder


class Tokens:
    """The resume token of each stream, as it was when all before it was durable. Any thread may call."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        try:
            held = json.loads(path.read_text("utf-8"))
            self._held = {str(name): str(token) for name, token in held.items()}
        except (OSError, ValueError, AttributeError):
            self._held = {}  # none yet, or one that is cut: all comes again, and is dropped

    def get(self, stream: str) -> str | None:
        """Return the token of a stream, None before its first."""
        with self._lock:
            return self._held.get(stream)

    def set(self, stream: str, token: str) -> None:
        """Keep a token; SinkUnavailable where it cannot be written."""
        with self._lock:
            if self._held.get(stream) == token:
                return
            self._held[stream] = token
            try:
                private_folder(self._path.parent)
                with written_aside(self._path) as aside, private_file(aside, "x") as file:
                    json.dump(self._held, file, indent=1)
            except OSError as error:
                raise SinkUnavailable(
                    f"{self._path} cannot be written ({reason(error)}):"
                    f" {remedy(error, 'choose another --state-dir')}"
                ) from error
