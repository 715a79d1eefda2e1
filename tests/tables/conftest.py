"""The corpora that every table is held against."""

from __future__ import annotations

import pytest

from tables.golden import CORPORA, Known


@pytest.fixture(params=CORPORA, ids=str)
def known(request: pytest.FixtureRequest) -> Known:
    """Each corpus: the bundled ledgers always, the others where the shared folder is present."""
    corpus = request.param
    return Known(corpus, None if corpus.bundled else request.getfixturevalue("shared"))
