"""Rows of the analytics service as they come: Arrow batches over WebSocket, over reconnects and restarts."""

from __future__ import annotations

import json
import logging
import os
import ssl
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
from pyarrow import ipc

from stellarrow.core.arguments import check
from stellarrow.errors import (
    ConfigError,
    PermissionDenied,
    SourceError,
    SourceUnavailable,
    StellarrowError,
    Unauthenticated,
)
from stellarrow.extras import needing
from stellarrow.net.client_tls import ClientTls
from stellarrow.net.redaction import redacted_url

_SUBPROTOCOL: Final = "stellarrow.v1"
_PATH: Final = "/v1/ws"
_ID: Final = "s"
_FIRST_WAIT: Final = 0.2  # seconds before the first of several tries
_LONGEST_WAIT: Final = 15.0
_OPEN_SECONDS: Final = 15.0
_SLOW: Final = 4008
_log: Final = logging.getLogger(__name__)
_LISTS: Final = ("contract_ids", "accounts", "assets", "event_types", "event_names", "columns")


class Subscription:
    """Yields record batches of whole ledgers; `resume` goes on behind the last one that was yielded.

    It connects again by itself, and misses nothing that the server still has: `gaps` are the ledgers
    that it had no longer, as pairs of the first and the last.
    """

    def __init__(
        self, url: str, asked: Mapping[str, Any], origin: str, token: str | None, ca: str | None = None
    ) -> None:
        self.resume = origin
        self.gaps: list[tuple[int, int]] = []
        self.last_ledger = 0
        self.recounted = False
        self._url = _with_path(url)
        self._asked = dict(asked)
        self._ca = Path(ca) if ca else None
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._schema: pa.Schema | None = None
        self._socket: Any = None
        self._is_closed = False

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        """Yield what comes until close(); what the server refuses is a ConfigError or Unauthenticated."""
        with needing("subscribe", "analytics"):
            from websockets.exceptions import (  # noqa: PLC0415  an extra
                ConnectionClosed,
                InvalidHandshake,
            )
        wait = _FIRST_WAIT
        while not self._is_closed:
            before = self.resume
            try:
                yield from self._connected()
            except (ConnectionClosed, InvalidHandshake, OSError, TimeoutError) as error:
                self._check_refused(error)
                _log.warning("%s: %s; trying again", redacted_url(self._url), error)
            if self._is_closed:
                return
            wait = _FIRST_WAIT if self.resume != before else min(_LONGEST_WAIT, wait * 2)
            time.sleep(wait)

    def close(self) -> None:
        """End it, from any thread."""
        self._is_closed = True
        if self._socket is not None:
            self._socket.close()

    def __enter__(self) -> Subscription:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _connected(self) -> Iterator[pa.RecordBatch]:
        from websockets.sync.client import connect  # noqa: PLC0415  an extra
        from websockets.typing import Subprotocol  # noqa: PLC0415  an extra

        is_secure = self._url.startswith("wss:")
        context = ClientTls(ca=self._ca).context() if is_secure else None
        with connect(
            self._url,
            subprotocols=[Subprotocol(_SUBPROTOCOL)],
            additional_headers=self._headers,
            compression=None,
            max_size=None,
            open_timeout=_OPEN_SECONDS,
            ssl=context,
        ) as socket:
            self._socket = socket
            said = {"op": "subscribe", "id": _ID, "format": "arrow", "from": self.resume, **self._asked}
            socket.send(json.dumps(said))
            yield from self._batches(socket)

    def _batches(self, socket: Any) -> Iterator[pa.RecordBatch]:
        due: dict[str, Any] = {}
        for frame in socket:
            if isinstance(frame, bytes):
                if self._schema is None or not due:
                    self._schema = ipc.read_schema(pa.py_buffer(frame[4:]))
                    continue
                batch = ipc.read_record_batch(pa.py_buffer(frame[4:]), self._schema)
                self._note(due)
                due = {}
                yield batch
                continue
            told = json.loads(frame)
            if told["op"] == "data" and told["bytes"]:
                due = told
            elif told["op"] == "data":
                self._note(told)
            else:
                self._hear(told)

    def _note(self, told: Mapping[str, Any]) -> None:
        self.resume, self.last_ledger = told["resume"], told["last_ledger"]
        self.recounted = told.get("recounted") is True

    def _hear(self, told: Mapping[str, Any]) -> None:
        if told["op"] == "gap":
            gap = told["first_ledger"], told["last_ledger"]
            if gap not in self.gaps:  # connecting again before newer rows came, it is told again
                self.gaps.append(gap)
                _log.warning("%s has no ledgers %d to %d: %s", redacted_url(self._url), *gap, told["why"])
        elif told["op"] == "subscribed":
            self.resume = told["resume"]
        elif told["op"] == "error":
            kinds: dict[str, type[StellarrowError]] = {}
            kinds |= {"unauthenticated": Unauthenticated, "permission_denied": PermissionDenied}
            kinds |= {"internal": SourceError, "data_loss": SourceError}
            raise kinds.get(told["code"], ConfigError)(f"{redacted_url(self._url)}: {told['message']}")

    def _check_refused(self, error: Exception) -> None:
        """Tell what trying again will not mend."""
        status = None
        with suppress(AttributeError):
            status = error.response.status_code  # type: ignore[attr-defined]  # of some alone
        if status == 401:
            raise Unauthenticated(f"{redacted_url(self._url)} does not know the token") from error
        if isinstance(error, ssl.SSLCertVerificationError):
            raise SourceUnavailable(
                f"{redacted_url(self._url)} shows a certificate that nobody trusted has signed"
                f" ({error.verify_message}): give ca, a PEM file of who has"
            ) from error
        if status in (403, 404):
            raise SourceUnavailable(
                f"{redacted_url(self._url)} refuses to connect (HTTP {status}): check the address"
            ) from error


def subscribe(
    url: str,
    table: str,
    *,
    contract_ids: Sequence[str] = (),
    accounts: Sequence[str] = (),
    assets: Sequence[str] = (),
    event_types: Sequence[str] = (),
    event_names: Sequence[str] = (),
    where: str = "",
    columns: Sequence[str] = (),
    window: str = "",
    asset: str = "",
    contract: str = "",
    start: str = "latest",
    mode: str = "all",
    token: str | None = None,
    ca: str | os.PathLike[str] | None = None,
) -> Subscription:
    """Follow a table of an analytics service: Arrow batches of whole ledgers, as they become durable.

    Or figures over time windows, `analytics/NAME`: batches of the windows that changed, as they are then.

    Iterate over what it returns. It connects when it is asked for the first batch, and again whenever the
    connection ends, from where it was: no row is lost or comes twice.

    Args:
        url: The service, such as `ws://localhost:8080` or `wss://host`.
        table: A table's name, such as `token_transfers`, or `analytics/transfers` and other figures.
        contract_ids: Only rows of these contracts.
        accounts: Only rows from, to or of these accounts.
        assets: Only rows of these: native, CODE, CODE:ISSUER or a contract's id.
        event_types: Only events of these types, or operations.
        event_names: Only events whose first topic is one of these.
        where: A condition in SQL on the table's columns.
        columns: Which columns; none means all.
        window: Of figures, how long each window is, such as `5m`; `1h` unless told.
        asset: Figures of one asset: native, CODE:ISSUER or a contract's id.
        contract: Figures of one contract.
        start: `latest`, what comes from now on; `earliest`, all there is; or the `resume` of a subscription.
        mode: `all`, every row; `latest` leaves ledgers out where the reader is too slow, and says which.
        token: An API key or a token.
        ca: Who signed the service's certificate, a PEM file; None trusts whom the system trusts.

    Returns:
        A Subscription: it yields record batches, has `resume`, `gaps`, `last_ledger`, `recounted`, close().

    Raises:
        ConfigError: The address is none, or the service does not understand what was asked.
        Unauthenticated: The service does not know the token.
    """
    check(url=url, table=table)
    if not url.startswith(("ws://", "wss://")):
        raise ConfigError(f"{redacted_url(url)!r} is no WebSocket: write ws://HOST:8080 or wss://HOST")
    asked: dict[str, Any] = {"channel": table, "mode": mode}
    lists = (contract_ids, accounts, assets, event_types, event_names, columns)
    given = dict(zip(_LISTS, lists, strict=True))
    for name, values in given.items():
        if isinstance(values, str):
            raise ConfigError(f"{name} is the text {values!r}: give a list, as [{values!r}]")
        if values is not None and not isinstance(values, Iterable):
            raise ConfigError(f"{name} is {values!r}: give a list of texts")
        words = [*(values if values is not None else ())]
        if not all(isinstance(one, str) for one in words):
            raise ConfigError(f"{name} is {values!r}: give a list of texts")
        if words:
            asked[name] = words
    texts = {"where": where, "window": window, "asset": asset, "contract": contract}
    asked |= {name: value for name, value in texts.items() if value}
    return Subscription(url, asked, start, token, None if ca is None else os.fspath(ca))


def _with_path(url: str) -> str:
    scheme, _, rest = url.partition("://")
    return url if "/" in rest else f"{scheme}://{rest}{_PATH}"
