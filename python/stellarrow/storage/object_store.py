"""Objects in S3 and its like, Google Cloud Storage, Azure, or below an HTTP address, through obstore."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

from stellarrow.errors import ConfigError, SinkError
from stellarrow.storage import errors
from stellarrow.storage.aws import bucket_region, s3_config
from stellarrow.storage.store import StoreOptions

try:
    import obstore
    from obstore.exceptions import AlreadyExistsError, BaseError
    from obstore.store import AzureStore, GCSStore, HTTPStore, S3Store
except ImportError as error:
    raise ConfigError(
        "s3://, gs://, az:// and https:// need obstore: pip install 'stellarrow[lake]'"
    ) from error

Result = TypeVar("Result")

_PAGE: Final = 1_000  # keys: what S3 gives at once
_CONNECT_SECONDS: Final = 5.0
_GOOGLE: Final = (
    *("GOOGLE_APPLICATION_CREDENTIALS", "GOOGLE_SERVICE_ACCOUNT", "GOOGLE_SERVICE_ACCOUNT_PATH"),
    *("GOOGLE_SERVICE_ACCOUNT_KEY", "GOOGLE_BEARER_TOKEN"),
)
_AZURE: Final = (
    *("AZURE_STORAGE_ACCOUNT_KEY", "AZURE_STORAGE_ACCESS_KEY", "AZURE_STORAGE_MASTER_KEY"),
    *("AZURE_STORAGE_SAS_KEY", "AZURE_STORAGE_SAS_TOKEN", "AZURE_STORAGE_TOKEN", "AZURE_USE_AZURE_CLI"),
    *("AZURE_CLIENT_SECRET", "AZURE_STORAGE_CLIENT_SECRET", "AZURE_FEDERATED_TOKEN_FILE"),
)


class CloudStore:
    """A bucket, or the part of it below a prefix."""

    def __init__(self, url: str, options: StoreOptions) -> None:
        self.where = url.rstrip("/")
        self._is_azure = self.where.startswith("az://")
        self.lists = not self.where.startswith(("http://", "https://"))
        self._options = options
        self._region: str | None = None
        self._config: Any = {}
        self._store: Any = None
        self._connect()

    def get(self, key: str) -> bytes | None:
        def work() -> bytes:
            return obstore.get(self._store, key).bytes().to_bytes()

        try:
            return self._done(work, key)
        except errors.Absent:
            return None

    def page(self, prefix: str = "", *, after: str = "") -> list[tuple[str, int]]:
        def work() -> list[tuple[str, int]]:
            # Not every store heeds the offset.
            for listed in obstore.list(self._store, prefix or None, offset=after or None, chunk_size=_PAGE):
                if found := [(one["path"], one["size"]) for one in listed if one["path"] > after]:
                    return found
            return []

        return self._done(work, prefix)

    def folders(self) -> list[str]:
        def work() -> list[str]:
            return sorted(obstore.list_with_delimiter(self._store)["common_prefixes"])

        return self._done(work, "")

    def metadata(self, key: str) -> dict[str, str]:
        def work() -> dict[str, str]:
            told = obstore.get(self._store, key, options={"head": True}).attributes
            names = ((str(name).lower(), str(value)) for name, value in told.items())
            return {name.replace("_", "-") if self._is_azure else name: value for name, value in names}

        try:
            return self._done(work, key)
        except errors.Absent:
            return {}

    def put(self, key: str, data: bytes, metadata: Mapping[str, str]) -> bool:
        if self._config.get("skip_signature"):
            raise SinkError(f"{self.where} cannot be written without credentials: {errors.ADVICE}")

        # Azure takes names only that could be a variable's.
        told = {name.replace("-", "_") if self._is_azure else name: metadata[name] for name in metadata}

        def work() -> bool:
            try:
                obstore.put(self._store, key, data, attributes=told, mode="create")
            except AlreadyExistsError:
                return False
            return True

        return self._done(work, key, writing=True)

    def _done(self, work: Callable[[], Result], key: str, *, writing: bool = False) -> Result:
        """Do the work, once more where the bucket is in another region or new credentials have come."""
        try:
            return work()
        except (BaseError, OSError, ValueError) as error:
            refusal = errors.Refusal.of(error)
            if self._mended(refusal):
                return self._done(work, key, writing=writing)
            anonymous = bool(self._config.get("skip_signature"))
            place = f"{self.where}/{key}" if key else self.where
            raise refusal.told(place, writing=writing, anonymous=anonymous) from error

    def _mended(self, refusal: errors.Refusal) -> bool:
        before = self._config
        if refusal.is_elsewhere and self._region is None and self.where.startswith("s3://"):
            bucket = urlsplit(self.where).netloc
            self._region = bucket_region(bucket, before.get("endpoint"), timeout=self._options.timeout)
        elif not refusal.is_expired:
            return False
        self._connect()
        return bool(self._config != before)

    def _connect(self) -> None:
        url = urlsplit(self.where)
        make = {"s3": self._s3, "gs": self._gcs, "az": self._azure}.get(url.scheme, self._http)
        try:
            self._store = make(url.netloc, url.path.strip("/"))
        except (BaseError, OSError, ValueError) as error:
            if isinstance(error, ConfigError):
                raise
            raise ConfigError(f"{self.where} cannot be opened: {errors.first_line(error)}") from error

    def _s3(self, bucket: str, prefix: str) -> Any:
        self._config = s3_config(os.environ, self._options.endpoint)
        if self._region:
            self._config["region"] = self._region
        return S3Store(bucket, prefix=prefix or None, config=self._config, **self._client())

    def _gcs(self, bucket: str, prefix: str) -> Any:
        usual = Path("~/.config/gcloud/application_default_credentials.json").expanduser()
        known = any(map(os.environ.get, _GOOGLE)) or usual.is_file()
        # Without skip_signature it would ask the metadata address of a cloud machine.
        self._config = {} if known else {"skip_signature": True}
        if self._options.endpoint:
            self._config["base_url"] = self._options.endpoint
        return GCSStore(bucket, prefix=prefix or None, config=self._config, **self._client())

    def _azure(self, container: str, prefix: str) -> Any:
        self._config = {} if any(map(os.environ.get, _AZURE)) else {"skip_signature": True}
        if self._options.endpoint:
            self._config["endpoint"] = self._options.endpoint
        return AzureStore(container, prefix=prefix or None, config=self._config, **self._client())

    def _http(self, *_: str) -> Any:
        self._config = {"skip_signature": True}
        return HTTPStore(self.where, **self._client())

    def _client(self) -> dict[str, Any]:
        timeout = timedelta(seconds=self._options.timeout)
        endpoint = self._config.get("endpoint") or self._config.get("base_url") or self.where
        return {
            "client_options": {
                "timeout": timeout,
                "connect_timeout": min(timeout, timedelta(seconds=_CONNECT_SECONDS)),
                "allow_http": endpoint.startswith("http://"),
            },
            # Trying again is for the caller's policy, which counts it.
            "retry_config": {"max_retries": 0, "retry_timeout": timeout},
        }
