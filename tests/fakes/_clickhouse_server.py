"""ClickHouse's own engine behind its HTTP interface, as far as clients of it go: `… FOLDER SETTINGS`.

The engine is chDB's, ClickHouse as a library, which runs one query at a time and has no users; what is of the
interface is here: logins, settings in the URL, errors with their code, TLS. SETTINGS is a JSON object: port,
and where wanted secure (a port), certificate, users (passwords by name), reader (a user that may not write).
"""

from __future__ import annotations

import base64
import binascii
import json
import ssl
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

_NO_SETTINGS = frozenset(
    (
        *("query", "database", "default_format", "query_id", "session_id", "session_timeout", "compress"),
        *("session_check", "user", "password", "quota_key", "wait_end_of_query", "client_protocol_version"),
        *("enable_http_compression", "send_progress_in_http_headers", "http_headers_progress_interval_ms"),
        *("decompress", "role", "buffer_size"),
    )
)
_WRITING = ("insert", "create", "alter", "drop", "delete", "optimize", "truncate", "rename", "replace")


class Engine:
    """One query at a time."""

    def __init__(self, folder: str) -> None:
        module = import_module("chdb.session")  # it is in no environment
        self._session = module.Session(folder)
        self._lock = threading.Lock()
        self._scratch = tempfile.mkdtemp(dir=Path(folder).parent)

    def answer(self, query: str, params: Mapping[str, str], body: bytes) -> bytes:
        with self._lock, self._set(params):
            if params.get("database"):
                self._do(f"USE `{params['database']}`")
            head, keyword, form = query.rstrip("; \n").rpartition(" FORMAT ")
            if not body:
                return self._do(query, params.get("default_format", "TabSeparated"))
            if not keyword:
                return self._do(f"{query}\n{body.decode()}")
            file = Path(self._scratch, "body")
            file.write_bytes(body)
            into, settings, chosen = head.partition(" SETTINGS ")
            return self._do(f"{into} FROM INFILE '{file}'{settings}{chosen} FORMAT {form}")

    @contextmanager
    def _set(self, params: Mapping[str, str]) -> Iterator[None]:
        chosen = {name: value for name, value in params.items() if name not in _NO_SETTINGS}
        for name, value in chosen.items():
            text = value.replace("'", "\\'")
            self._do(f"SET {name} = {value if value.isdecimal() else repr(text)}")
        try:
            yield
        finally:
            if params.get("database"):
                self._do("USE default")
            for name in chosen:
                self._do(f"SET {name} = DEFAULT")

    def _do(self, query: str, form: str = "TabSeparated") -> bytes:
        return bytes(self._session.query(query, form).bytes())


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    engine: Engine
    users: Mapping[str, str]
    reader: str
    disable_nagle_algorithm = True

    def log_message(self, *given: Any) -> None:
        """Say nothing of each request."""

    def do_GET(self) -> None:
        if urlsplit(self.path).path == "/ping":
            self._send(200, b"Ok.\n")
            return
        self.do_POST()

    def do_POST(self) -> None:
        size = int(self.headers.get("Content-Length") or 0)
        body = self._chunks() if self.headers.get("Transfer-Encoding") else self.rfile.read(size)
        if len(body) < size:
            return  # the client is gone
        params = dict(parse_qsl(urlsplit(self.path).query, keep_blank_values=True))
        query = params.get("query", "")
        if not query:
            query, body = body.decode(), b""
        if refused := self._refusal(query):
            self._send(*refused)
            return
        try:
            self._send(200, self.engine.answer(query, params, body))
        except Exception as error:
            text = str(error)
            code = text.partition("Code: ")[2].partition(".")[0]
            self._send(404 if code in ("60", "81") else 500, text.encode(), code=code or "1")

    def _chunks(self) -> bytes:
        found = b""
        while size := int(self.rfile.readline() or b"0", 16):
            found += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return found

    def _refusal(self, query: str) -> tuple[int, bytes, str] | None:
        user, password = self.headers.get("X-ClickHouse-User", "default"), ""
        if login := (self.headers.get("Authorization") or "").partition("Basic ")[2]:
            try:
                user, _, password = base64.b64decode(login).decode().partition(":")
            except (binascii.Error, UnicodeDecodeError):
                user = ""
        if self.users.get(user) != password:
            text = (
                f"Code: 516. DB::Exception: {user}: Authentication failed: password is incorrect, or there is"
                " no user with such name. (AUTHENTICATION_FAILED)"
            )
            return 403, text.encode(), "516"
        if user == self.reader and query.lstrip().lower().startswith(_WRITING):
            text = (
                f"Code: 497. DB::Exception: {user}: Not enough privileges. To execute this query, it's"
                " necessary to have the grant. (ACCESS_DENIED)"
            )
            return 403, text.encode(), "497"
        return None

    def _send(self, status: int, body: bytes, code: str = "") -> None:
        self.send_response(status)
        if code:
            self.send_header("X-ClickHouse-Exception-Code", code)
        self.send_header("X-ClickHouse-Summary", "{}")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def main() -> None:
    chosen = json.loads(sys.argv[2])
    Handler.engine = Engine(sys.argv[1])
    Handler.users = chosen.get("users", {"default": ""})
    Handler.reader = chosen.get("reader", "")
    if port := chosen.get("secure"):
        secure = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(chosen["certificate"])
        secure.socket = context.wrap_socket(secure.socket, server_side=True)
        threading.Thread(target=secure.serve_forever, daemon=True).start()
    ThreadingHTTPServer(("127.0.0.1", chosen["port"]), Handler).serve_forever()


if __name__ == "__main__":
    main()
