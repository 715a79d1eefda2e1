from __future__ import annotations

import inspect
import pickle
import time
from collections.abc import Iterator

import pytest

from stellarrow import errors

TREE = [one for one in vars(errors).values() if inspect.isclass(one) and issubclass(one, Exception)]


def first_bases(one: type) -> Iterator[type]:
    while one is not errors.StellarrowError:
        one = one.__bases__[0]
        yield one


def test_every_error_is_a_stellarrow_error() -> None:
    assert all(issubclass(one, errors.StellarrowError) for one in TREE)


def test_the_drawing_shows_the_tree_as_it_is() -> None:
    drawn = [line.split("──")[-1].split()[0] for line in str(errors.__doc__).splitlines()[2:]]
    assert drawn == [one.__name__ for one in TREE]
    depth = {"├── ": 1, "└── ": 1, "│   ": 2}
    for line, one in zip(str(errors.__doc__).splitlines()[3:], TREE[1:], strict=True):
        parents = list(first_bases(one))
        assert depth[line[:4]] == len(parents)


@pytest.mark.parametrize("one", TREE, ids=lambda one: one.__name__)
def test_errors_survive_pickling(one: type[Exception]) -> None:
    again = pickle.loads(pickle.dumps(one("what happened")))  # noqa: S301
    assert (type(again), str(again)) == (one, "what happened")


def test_a_decode_error_keeps_its_place_through_pickling() -> None:
    error = errors.DecodeError("bad", ledger=7, path="txProcessing[0]", offset=12)
    again = pickle.loads(pickle.dumps(error))  # noqa: S301
    assert (again.ledger, again.path, again.offset) == (7, "txProcessing[0]", 12)


def test_a_config_error_is_a_value_error() -> None:
    assert issubclass(errors.ConfigError, ValueError)


@pytest.mark.parametrize("one", ["x", "x,", "a:", "'a:/", "@", "\\", "x.", "=", "é"])
def test_a_message_of_any_length_keeps_its_ends_and_takes_no_time(one: str) -> None:
    began = time.monotonic()
    message = str(errors.ConfigError(f"there is no {one * 2_000_000}: ask for another"))
    assert time.monotonic() - began < 5
    assert len(message) < 4_100
    assert message.startswith("there is no")
    assert message.endswith("ask for another")
    assert " characters left out " in message


@pytest.mark.parametrize("before", range(1_960, 2_000, 3))
def test_a_secret_that_is_cut_is_not_shown(before: int) -> None:
    for secret in ("postgres://me:hunter2@h/db", "me:hunter2@host", "password=hunter2"):
        message = str(errors.ConfigError(f"{'y' * before} {secret} {'z ' * 5_000}"))
        assert "hunter" not in message
        message = str(errors.ConfigError(f"{'z ' * 5_000} {secret} {'y' * before}"))
        assert "unter2" not in message


@pytest.mark.parametrize(
    ("said", "more", "text"),
    [
        (
            "there is no x: did you mean 'y'?",
            "for others name a file",
            "there is no x: did you mean 'y'? For others name a file",
        ),
        ("it is gone.", "ask again", "it is gone. Ask again"),
        ("it is gone", "ask again", "it is gone; ask again"),
        ("it is gone", "", "it is gone"),
        ("", "ask again", "ask again"),
    ],
)
def test_two_sentences_have_one_mark_between_them(said: str, more: str, text: str) -> None:
    assert errors.joined(said, more) == text
