"""What a client shows a server so that it is let in."""

from __future__ import annotations

import pytest

from stellarrow.errors import ConfigError
from stellarrow.net.credentials import ClientCredentials

KEY = "k3y"


def test_headers_and_a_token_go_to_every_host() -> None:
    given = ClientCredentials.of(["X-Key: a:b, c"], token=KEY)
    assert given.headers_for("a.example") == {"Authorization": f"Bearer {KEY}", "X-Key": "a:b, c"}
    assert given.metadata_for(None) == (("authorization", f"Bearer {KEY}"), ("x-key", "a:b, c"))


def test_a_header_of_one_host_goes_nowhere_else() -> None:
    given = ClientCredentials.of([f"a.example X-Key: {KEY}"])
    assert given.headers_for("A.example") == {"X-Key": KEY}
    assert given.headers_for("b.example") == {}


def test_a_header_given_by_hand_replaces_the_token() -> None:
    given = ClientCredentials.of([f"authorization: Api-Key {KEY}"], token=f"no{KEY}")
    assert given.headers_for("a.example") == {"authorization": f"Api-Key {KEY}"}


def test_they_do_not_show_themselves() -> None:
    given = ClientCredentials.of([f"X: {KEY}"], token=KEY)
    assert KEY not in repr(given)
    assert KEY not in str(given.headers[0])


@pytest.mark.parametrize("wrong", [KEY, f"no name {KEY}", f"X: {KEY}\r\nY: 1", f"X: {KEY}é", f": {KEY}"])
def test_what_is_no_header_is_refused_without_being_shown(wrong: str) -> None:
    with pytest.raises(ConfigError, match="Name: value") as refused:
        ClientCredentials.of([wrong])
    assert KEY not in str(refused.value)
