"""Objects in S3 and its like, Google Cloud Storage, Azure, or below an HTTP address, through obstore."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

from stellarrow.errors import ConfigError, SinkError, SourceError
from stellarrow.extras import needing
from stellarrow.net.proxies import Proxy
from stellarrow.net.redaction import redacted_text, redacted_url
from stellarrow.storage import errors
from stellarrow.storage.aws import bucket_region
from stellarrow.storage.connecting import connect
from stellarrow.storage.store import StoreOptions

with needing("an object store", "lake"):
    import obstore
    from obstore.exceptions import AlreadyExistsError, BaseError

    from stellarrow.storage import listings

Result = TypeVar("Result")

_PAGE: Final = 1_000  # keys: what S3 gives at once
_LARGEST: Final = 512 << 20  # bytes of an object that is taken into memory
_TRUSTED_SECONDS: Final = (
    30.0  # how long a refusal means "missing" without a look whether we are still let in
)
_log: Final = logging.getLogger(__name__)


class CloudStore:
    """A bucket, or the part of it below a prefix."""

    def __init__(self, url: str, options: StoreOptions) -> None:
        scheme, _, rest = url.partition("://")
        if rest.startswith("/") or not rest:
            what = "HOST/PATH" if scheme.startswith("http") else "BUCKET/PREFIX"
            raise ConfigError(
                f"{redacted_url(url)} names no {what.partition('/')[0].lower()}: write {scheme}://{what}"
            )
        self._url = url.rstrip("/")
        self.where = redacted_url(self._url).partition("?")[0]
        self._is_azure = self._url.startswith("az://")
        self.lists = not self._url.startswith(("http://", "https://"))
        self.doubt = ""
        self._options = options
        self._region: str | None = None
        self._config: dict[str, Any] = {}
        self._proxy: Proxy | None = None
        self._store: Any = None
        self._given: str | None = None  # an object that was given to us: what else is refused may be missing
        self._given_at = 0.0
        self._told_names = False  # it listed: then it says of what is missing that it is
        self._is_conditional = True  # it knows how to put only what is not there
        self._connect()

    def get(self, key: str) -> bytes | None:
        def work() -> bytes:
            found = obstore.get(self._store, key)
            if found.meta["size"] > _LARGEST:
                raise SourceError(
                    f"{self.where}/{key} has {found.meta['size']:,} bytes, and at most {_LARGEST:,} are read"
                    " at once: is it a file of ledgers?"
                )
            return found.bytes().to_bytes()

        try:
            content = self._done(work, key)
        except errors.Absent:
            return None
        except errors.Forbidden as error:
            if self._is_as_missing(key, error):
                return None
            raise
        self._given, self._given_at = key, time.monotonic()
        return content

    def _is_as_missing(self, key: str, refused: errors.Forbidden) -> bool:
        """Tell whether a refusal may say no more than that there is no such object."""
        given = self._given
        if given is None or self._told_names:
            return False
        if time.monotonic() - self._given_at > _TRUSTED_SECONDS:
            try:
                self._done(lambda: obstore.get(self._store, given, options={"head": True}), given)
            except (errors.Absent, errors.Forbidden):
                return False
            self._given_at = time.monotonic()
        if not self.doubt:
            self.doubt = (
                f"missing, or not allowed: the server answers {refused.answer} for what it does not give"
            )
            _log.warning("%s/%s is %s", self.where, key, self.doubt)
        return True

    def page(self, prefix: str = "", *, after: str = "") -> list[tuple[str, int]]:
        def work() -> list[tuple[str, int]]:
            # Not every store heeds the offset.
            for listed in self._pages(prefix, after):
                if found := [(one["path"], one["size"]) for one in listed if one["path"] > after]:
                    return found
            return []

        found = self._done(work, prefix)
        self._told_names = True
        return found

    def _pages(self, prefix: str, after: str) -> Any:
        seconds = self._options.timeout + 5  # the client's own limit of a request says more
        return listings.pages(self._store, prefix or None, after=after or None, size=_PAGE, seconds=seconds)

    def _folder(self, prefix: str) -> Any:
        return listings.folder(self._store, prefix or None, seconds=self._options.timeout + 5)

    def folders(self) -> list[str]:
        def work() -> list[str]:
            return sorted(self._folder("")["common_prefixes"])

        return self._done(work, "")

    def metadata(self, key: str) -> dict[str, str]:
        def work() -> dict[str, str]:
            answer = obstore.get(self._store, key, options={"head": True}).attributes
            names = ((str(name).lower(), str(value)) for name, value in answer.items())
            return {name.replace("_", "-") if self._is_azure else name: value for name, value in names}

        try:
            return self._done(work, key)
        except errors.Absent:
            return {}
        except errors.Forbidden as error:
            if self._is_as_missing(key, error):
                return {}
            raise

    def put(self, key: str, data: bytes, metadata: Mapping[str, str]) -> bool:
        self._check_may_write()
        # Azure takes names only that could be a variable's.
        report = {name.replace("-", "_") if self._is_azure else name: metadata[name] for name in metadata}
        return self._put_new(
            key, lambda mode: obstore.put(self._store, key, data, attributes=report, mode=mode)
        )

    def _check_may_write(self) -> None:
        if self._config.get("skip_signature"):
            advice = errors.advice(self._url, anonymous=True)
            raise SinkError(f"{self.where} cannot be written without credentials: {advice}")

    def _put_new(self, key: str, put: Callable[[Any], object]) -> bool:
        """Put an object unless there is one; a store that knows no such condition is asked first."""

        def work() -> bool:
            if not self._is_conditional:
                return self._put_unasked(key, put)
            try:
                put("create")
            except AlreadyExistsError:
                return False
            except (BaseError, OSError) as error:
                refusal = errors.Refusal.of(error)
                if not refusal.is_unable:
                    raise
                self._is_conditional = False
                _log.warning(
                    "%s does not know how to write only what is not there (If-None-Match, HTTP %d): looking"
                    " first instead, let no two writers write the same at once",
                    *(self.where, refusal.status),
                )
                return self._put_unasked(key, put)
            return True

        return self._done(work, key, writing=True)

    def _put_unasked(self, key: str, put: Callable[[Any], object]) -> bool:
        try:
            obstore.head(self._store, key)
        except FileNotFoundError:
            put("overwrite")
            return True
        return False

    def _done(self, work: Callable[[], Result], key: str, *, writing: bool = False) -> Result:
        """Do the work, once more where the bucket is in another region or new credentials have come."""
        place = f"{self.where}/{key}" if key else self.where
        try:
            return work()
        except listings.Endless as error:
            final = SinkError if writing else SourceError
            raise final(f"{place}: {error}: check the endpoint, or use another store") from error
        except (BaseError, OSError, ValueError) as error:
            if isinstance(error, ConfigError):
                raise
            refusal = errors.Refusal.of(error)
            if self._without_debug(refusal):
                return self._done(work, key, writing=writing)
            asked = errors.Asked(
                place=place,
                url=self._url,
                writing=writing,
                anonymous=bool(self._config.get("skip_signature")),
                through=f" through {self._proxy}" if self._proxy else "",
            )
            raise refusal.to_error(asked) from error

    def _without_debug(self, refusal: errors.Refusal) -> bool:
        before = self._config
        if refusal.is_elsewhere and self._region is None and self._url.startswith("s3://"):
            bucket = urlsplit(self._url).netloc
            self._region = bucket_region(bucket, before.get("endpoint"), timeout=self._options.timeout)
        elif not refusal.is_expired:
            return False
        self._connect()
        return bool(self._config != before)

    def _connect(self) -> None:
        try:
            self._store, self._config, self._proxy = connect(self._url, self._options, self._region)
        except (BaseError, OSError, ValueError) as error:
            if isinstance(error, ConfigError):
                raise
            reason = redacted_text(errors.first_line(error))
            raise ConfigError(f"{self.where} cannot be opened: {reason}") from error
