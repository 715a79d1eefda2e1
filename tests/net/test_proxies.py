"""Which proxy a request goes through."""

from __future__ import annotations

import pytest

from stellarrow.errors import ConfigError
from stellarrow.net.proxies import is_loopback, proxy_for


@pytest.mark.parametrize(
    ("url", "environ", "expected"),
    [
        ("http://node.example/", {"HTTP_PROXY": "http://p:1"}, "http://p:1"),
        ("http://node.example/", {"HTTP_PROXY": "http://p:1", "http_proxy": "http://q:2"}, "http://q:2"),
        ("http://node.example/", {"HTTPS_PROXY": "http://p:1"}, None),
        ("https://node.example/", {"HTTPS_PROXY": "p:1"}, "http://p:1"),
        ("https://node.example/", {"ALL_PROXY": "socks5://p:1"}, "socks5://p:1"),
        ("s3://bucket", {"https_proxy": "http://p:1"}, "http://p:1"),
        ("https://node.example/", {"HTTPS_PROXY": "", "ALL_PROXY": ""}, None),
    ],
)
def test_the_environment_names_the_proxy(url: str, environ: dict[str, str], expected: str | None) -> None:
    found = proxy_for(url, environ)
    assert (found.url if found else None) == expected


@pytest.mark.parametrize(
    ("host", "rule", "direct"),
    [
        ("node.example", "*", True),
        ("node.example", "node.example", True),
        ("a.node.example", "node.example", True),
        ("a.node.example", ".node.example", True),
        ("a.node.example", "*.node.example", True),
        ("othernode.example", "node.example", False),
        ("node.example", "other.example, node.example", True),
        ("node.example:8000", "node.example:8000", True),
        ("node.example:8001", "node.example:8000", False),
        ("10.1.2.3", "10.0.0.0/8", True),
        ("11.1.2.3", "10.0.0.0/8", False),
        ("[2001:db8::1]:80", "2001:db8::/32", True),
        ("[2001:db8::1]:80", "2001:db8::1", True),
        ("node.example", "", False),
    ],
)
def test_no_proxy_names_what_is_reached_directly(host: str, rule: str, direct: bool) -> None:
    environ = {"HTTP_PROXY": "http://p:1", "NO_PROXY": rule}
    assert (proxy_for(f"http://{host}/", environ) is None) is direct


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "LOCALHOST.",
        "127.0.0.1",
        "127.9.9.9",
        "[::1]",
        "::ffff:127.0.0.1",
        "0.0.0.0",  # noqa: S104
    ],
)
def test_this_machine_is_never_reached_through_a_proxy(host: str) -> None:
    assert is_loopback(host)
    written = f"[{host}]" if host.count(":") > 1 and "[" not in host else host
    assert (
        proxy_for(f"http://user:pw@{written}:8000/x", {"http_proxy": "http://p:1", "all_proxy": "p:1"})
        is None
    )


@pytest.mark.parametrize("wrong", ["ftp://p:1", "http://", "http://p:port"])
def test_what_is_no_proxy_is_named_by_its_variable(wrong: str) -> None:
    with pytest.raises(ConfigError, match=r"^HTTP_PROXY is .* no proxy"):
        proxy_for("http://node.example/", {"HTTP_PROXY": wrong})


def test_the_password_of_a_proxy_is_not_shown() -> None:
    found = proxy_for("http://node.example/", {"HTTP_PROXY": "http://u:s%40cret@p:1"})
    assert found is not None
    assert found.login == "u:s@cret"
    assert "cret" not in str(found)
