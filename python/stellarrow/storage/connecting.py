"""How each kind of object store is opened: credentials, endpoint, proxy, and the name we give."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from stellarrow.errors import ConfigError
from stellarrow.extras import needing
from stellarrow.net.identity import USER_AGENT
from stellarrow.net.proxies import Proxy, host_of, proxy_for
from stellarrow.storage.aws import s3_config
from stellarrow.storage.store import StoreOptions

with needing("an object store", "lake"):
    from obstore.store import AzureStore, GCSStore, HTTPStore, S3Store

_CONNECT_SECONDS: Final = 5.0
# Any one of these is enough; with a part of what is needed, the client would ask the machine for the rest.
_GOOGLE: Final = (
    *("GOOGLE_APPLICATION_CREDENTIALS", "GOOGLE_SERVICE_ACCOUNT", "GOOGLE_SERVICE_ACCOUNT_PATH"),
    *("GOOGLE_SERVICE_ACCOUNT_KEY", "GOOGLE_BEARER_TOKEN"),
)
_AZURE: Final = (
    *("AZURE_STORAGE_ACCOUNT_KEY", "AZURE_STORAGE_ACCESS_KEY", "AZURE_STORAGE_MASTER_KEY"),
    *("AZURE_STORAGE_SAS_KEY", "AZURE_STORAGE_SAS_TOKEN", "AZURE_STORAGE_TOKEN", "AZURE_USE_AZURE_CLI"),
)
_AZURE_SECRETS: Final = ("AZURE_CLIENT_SECRET", "AZURE_STORAGE_CLIENT_SECRET", "AZURE_FEDERATED_TOKEN_FILE")
_AZURE_CLIENTS: Final = ("AZURE_CLIENT_ID", "AZURE_STORAGE_CLIENT_ID")
_AZURE_TENANTS: Final = (
    *("AZURE_TENANT_ID", "AZURE_STORAGE_TENANT_ID"),
    *("AZURE_AUTHORITY_ID", "AZURE_STORAGE_AUTHORITY_ID"),
)
_DEFAULTS: Final = {  # where each kind of store is without an endpoint
    "s3": "https://s3.amazonaws.com",
    "gs": "https://storage.googleapis.com",
    "az": "https://blob.core.windows.net",
}
# Never asked through a proxy: this machine, and the metadata service of a cloud machine.
_NEAR: Final = "localhost,127.0.0.0/8,::1,169.254.0.0/16"
_NOWHERE: Final = (
    "http://127.0.0.1:9"  # a proxy that nothing is sent to, so that none is taken from elsewhere
)


def connect(url: str, options: StoreOptions, region: str | None) -> tuple[Any, dict[str, Any], Proxy | None]:
    """Open what a URL names; return it with its settings and the proxy that is between."""
    parts = urlsplit(url)
    config = {"s3": _s3, "gs": _gcs, "az": _azure}.get(parts.scheme, _web)(options)
    if region:
        config["region"] = region
    endpoint = config.get("endpoint") or config.get("base_url") or _DEFAULTS.get(parts.scheme, url)
    proxy = proxy_for(endpoint)
    client = _client(endpoint, options, proxy)
    if parts.scheme not in _DEFAULTS:
        headers = options.credentials.headers_for(host_of(url))
        if headers:
            client["client_options"]["default_headers"] = headers
        return HTTPStore(url, **client), config, proxy
    kind = {"s3": S3Store, "gs": GCSStore, "az": AzureStore}[parts.scheme]
    return kind(parts.netloc, prefix=parts.path.strip("/") or None, config=config, **client), config, proxy


def _s3(options: StoreOptions) -> dict[str, Any]:
    config = s3_config(os.environ, options.endpoint)
    if config.get("skip_signature") and "AWS_SKIP_SIGNATURE" not in os.environ and options.asks_the_machine:
        del config["skip_signature"]
        if answer := os.environ.get("AWS_EC2_METADATA_SERVICE_ENDPOINT"):
            config["metadata_endpoint"] = answer
    return config


def _gcs(options: StoreOptions) -> dict[str, Any]:
    usual = Path("~/.config/gcloud/application_default_credentials.json").expanduser()
    known = any(map(os.environ.get, _GOOGLE)) or usual.is_file() or options.asks_the_machine
    # Without skip_signature it would ask the metadata address of a cloud machine.
    config: dict[str, Any] = {} if known else {"skip_signature": True}
    return config | ({"base_url": options.endpoint} if options.endpoint else {})


def _azure(options: StoreOptions) -> dict[str, Any]:
    secret = any(map(os.environ.get, _AZURE_SECRETS))
    if secret and not (any(map(os.environ.get, _AZURE_CLIENTS)) and any(map(os.environ.get, _AZURE_TENANTS))):
        raise ConfigError(
            "the environment gives a secret for Azure, but not AZURE_CLIENT_ID and AZURE_TENANT_ID: set both,"
            " or unset the secret"
        )
    known = secret or any(map(os.environ.get, _AZURE)) or options.asks_the_machine
    config: dict[str, Any] = {} if known else {"skip_signature": True}
    return config | ({"endpoint": options.endpoint} if options.endpoint else {})


def _web(_: StoreOptions) -> dict[str, Any]:
    return {"skip_signature": True}


def _client(endpoint: str, options: StoreOptions, proxy: Proxy | None) -> dict[str, Any]:
    timeout = timedelta(seconds=options.timeout)
    through = (
        {"proxy_url": proxy.url, "proxy_excludes": _NEAR}
        if proxy
        else {"proxy_url": _NOWHERE, "proxy_excludes": f"{_NEAR},{host_of(endpoint)},*"}
    )
    return {
        "client_options": {
            "timeout": timeout,
            "connect_timeout": min(timeout, timedelta(seconds=_CONNECT_SECONDS)),
            "allow_http": endpoint.startswith("http://"),
            "user_agent": USER_AGENT,
            **through,
        },
        # Trying again is for the caller's policy, which counts it.
        "retry_config": {"max_retries": 0, "retry_timeout": timeout},
    }
