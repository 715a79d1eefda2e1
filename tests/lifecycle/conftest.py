"""What all tests of the lifecycle share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from lifecycle.aged import OPENED


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    """Close the places that a test's runs opened: thousands of runs would take all descriptors."""
    yield
    while OPENED:
        OPENED.pop().close()
