from __future__ import annotations

from pathlib import Path

import pytest

from stellarrow import ConfigError
from stellarrow.storage.aws import s3_config

KEYS = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret"}
SIGNED = {"access_key_id": "key", "secret_access_key": "secret"}
ANONYMOUS = {"skip_signature": True}


def profiles(home: Path, *, config: str = "", credentials: str = "") -> dict[str, str]:
    (home / ".aws").mkdir()
    (home / ".aws" / "config").write_text(config)
    (home / ".aws" / "credentials").write_text(credentials)
    return {"HOME": str(home)}


def test_without_credentials_it_is_anonymous(tmp_path: Path) -> None:
    assert s3_config({"HOME": str(tmp_path)}, None) == ANONYMOUS


def test_keys_in_the_environment_are_used(tmp_path: Path) -> None:
    home = {"HOME": str(tmp_path)}
    assert s3_config(home | KEYS, None) == SIGNED
    assert s3_config(home | KEYS | {"AWS_SESSION_TOKEN": "t"}, None) == SIGNED | {"session_token": "t"}
    assert s3_config(home | KEYS | {"AWS_SKIP_SIGNATURE": "true"}, None) == ANONYMOUS


def test_a_default_profile_without_keys_leaves_public_buckets_open(tmp_path: Path) -> None:
    assert s3_config(profiles(tmp_path, config="[default]\nsso_session=x\n"), None) == ANONYMOUS


def test_a_role_that_the_platform_gives_is_left_to_the_client(tmp_path: Path) -> None:
    token = {"HOME": str(tmp_path), "AWS_WEB_IDENTITY_TOKEN_FILE": "/token"}
    assert s3_config(token | {"AWS_ROLE_ARN": "arn:aws:iam::1:role/x"}, None) == {}
    assert s3_config(token, None) == ANONYMOUS  # the client would go on to the metadata address


def test_a_profile_is_used_and_the_environment_wins(tmp_path: Path) -> None:
    environ = profiles(
        tmp_path,
        config="[default]\nregion=eu-west-1\n[profile lab]\nregion=us-east-2\nendpoint_url=http://lab:9000/\n",
        credentials="[default]\naws_access_key_id=a\naws_secret_access_key=b\n[lab]\naws_access_key_id=key\n"
        "aws_secret_access_key=secret\naws_session_token=t\n",
    )
    assert s3_config(environ, None) == {
        "access_key_id": "a",
        "secret_access_key": "b",
        "region": "eu-west-1",
    }
    lab = SIGNED | {"session_token": "t", "region": "us-east-2", "endpoint": "http://lab:9000"}
    assert s3_config(environ | {"AWS_PROFILE": "lab"}, None) == lab
    assert s3_config(environ | KEYS | {"AWS_REGION": "x"}, None) == SIGNED | {"region": "x"}


def test_the_endpoint_named_wins(tmp_path: Path) -> None:
    environ = {"HOME": str(tmp_path), "AWS_ENDPOINT_URL": "http://a", "AWS_ENDPOINT_URL_S3": "http://b"}
    assert s3_config(environ, "http://c/")["endpoint"] == "http://c"
    assert s3_config(environ, None)["endpoint"] == "http://b"


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        ({"AWS_ACCESS_KEY_ID": "key"}, "the environment gives only one of"),
        ({"AWS_PROFILE": "nobody"}, "there is no AWS profile 'nobody'"),
        ({"AWS_PROFILE": "half"}, "the AWS profile gives only one of"),
        ({"AWS_PROFILE": "sso"}, "signs in through SSO, a role or a process, not by keys: run eval"),
        ({"AWS_CONFIG_FILE": "broken"}, "broken cannot be read as AWS profiles"),
    ],
)
def test_half_or_unusable_credentials_are_named(
    tmp_path: Path, environ: dict[str, str], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "broken").write_text("no section")
    home = profiles(
        tmp_path,
        config="[default]\nsso_session=x\n[profile sso]\nsso_session=x\n",
        credentials="[half]\naws_access_key_id=x\n",
    )
    with pytest.raises(ConfigError, match=message):
        s3_config(home | environ, None)
