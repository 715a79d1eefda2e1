"""Which keys, region and endpoint S3 is used with: environment and profiles, as the AWS tools read them."""

from __future__ import annotations

import configparser
from collections.abc import Mapping
from http.client import HTTPException
from pathlib import Path
from typing import Any, Final

from stellarrow.errors import ConfigError
from stellarrow.net.http_request import ask

# Credentials a role is given by its platform, told by the environment: obstore reads them itself.
_GIVEN: Final = (
    ("AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_ROLE_ARN"),
    ("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",),
    ("AWS_CONTAINER_CREDENTIALS_FULL_URI",),
)
_KEYS: Final = {
    "aws_access_key_id": "access_key_id",
    "aws_secret_access_key": "secret_access_key",
    "aws_session_token": "session_token",
}
_EXPORT: Final = 'eval "$(aws configure export-credentials --format env)"'


def s3_config(environ: Mapping[str, str], endpoint: str | None) -> dict[str, Any]:
    """Return the settings of obstore's S3Store; without credentials anywhere it is anonymous.

    Metadata addresses of cloud machines are never asked: keys are given, or requests go unsigned.
    """
    profile = _profile(environ)
    config: dict[str, Any] = dict(_credentials(environ, profile))
    if region := environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION") or profile.get("region"):
        config["region"] = region
    variables = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT")
    answer = (endpoint, *map(environ.get, variables), profile.get("endpoint_url"))
    if chosen := next(filter(None, answer), None):
        config["endpoint"] = chosen.rstrip("/")
    return config


def _credentials(environ: Mapping[str, str], profile: Mapping[str, str]) -> dict[str, Any]:
    if environ.get("AWS_SKIP_SIGNATURE", "").lower() in ("1", "true"):
        return {"skip_signature": True}
    for place, answer in (
        ("the environment", {name: environ.get(name.upper(), "") for name in _KEYS}),
        ("the AWS profile", {name: profile.get(name, "") for name in _KEYS}),
    ):
        key, secret, _ = answer.values()
        if bool(key) != bool(secret):
            raise ConfigError(
                f"{place} gives only one of AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY: give both or none"
            )
        if key:
            return {_KEYS[name]: value for name, value in answer.items() if value}
        if place == "the environment" and any(all(map(environ.get, names)) for names in _GIVEN):
            return {}
    by_other_means = any(name.startswith(("sso_", "role_", "credential_")) for name in profile)
    if by_other_means and environ.get("AWS_PROFILE"):
        raise ConfigError(
            f"the AWS profile signs in through SSO, a role or a process, not by keys: run {_EXPORT}"
        )
    return {"skip_signature": True}


def _profile(environ: Mapping[str, str]) -> dict[str, str]:
    """Return a profile's settings out of ~/.aws/config and, before them, ~/.aws/credentials."""
    name = environ.get("AWS_PROFILE") or "default"
    home = Path(environ.get("HOME") or "~").expanduser() / ".aws"
    found: dict[str, str] = {}
    for variable, file, section in (
        ("AWS_CONFIG_FILE", "config", name if name == "default" else f"profile {name}"),
        ("AWS_SHARED_CREDENTIALS_FILE", "credentials", name),
    ):
        path = Path(environ.get(variable) or home / file)
        parser = configparser.RawConfigParser()
        try:
            parser.read(path, encoding="utf-8")
        except (configparser.Error, UnicodeDecodeError) as error:
            raise ConfigError(
                f"{path} cannot be read as AWS profiles: fix it, or name another in {variable}"
            ) from error
        if parser.has_section(section):
            found |= dict(parser.items(section))
    if not found and environ.get("AWS_PROFILE"):
        raise ConfigError(f"there is no AWS profile {name!r}: check AWS_PROFILE and {home}")
    return found


def bucket_region(bucket: str, endpoint: str | None, *, timeout: float) -> str | None:
    """Ask where a bucket is, without credentials; None where the server does not say."""
    url = f"{(endpoint or 'https://s3.amazonaws.com').rstrip('/')}/{bucket}"
    try:
        return ask("HEAD", url, timeout=timeout).header("x-amz-bucket-region")
    except (OSError, HTTPException):
        return None
