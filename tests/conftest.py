"""Fixtures shared by all rooms."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def shared() -> Path:
    """Real public data beside the project; the tests that need them skip where they are absent."""
    folder = Path(os.environ.get("KNOWPACK_SHARED", Path(__file__).parents[1].parent / "shared"))
    if not folder.is_dir():
        pytest.skip("the public data (../shared, or KNOWPACK_SHARED) are not here")
    return folder
