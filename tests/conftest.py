"""Fixtures shared by all rooms."""

import gc
import os
from collections.abc import Iterator
from pathlib import Path

# Read by polars at its import, here and in every process that a test starts: tables of a dozen rows gain nothing by a
# second thread, and each of thousands of queries waits for it on a machine that others use.
os.environ.setdefault("POLARS_MAX_THREADS", "1")

import pytest

from architectures import CONFIGS, build
from knowpack.decode import products
from knowpack.model.loaded import Loaded


def pytest_collection_finish() -> None:
    """What was imported by now is no garbage: a run gives memory back twice, and searched all of torch each time."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def shared() -> Path:
    """Real public data beside the project; the tests that need them skip where they are absent."""
    folder = Path(os.environ.get("KNOWPACK_SHARED", Path(__file__).parents[1].parent / "shared"))
    if not folder.is_dir():
        pytest.skip("the public data (../shared, or KNOWPACK_SHARED) are not here")
    return folder


@pytest.fixture(autouse=True, scope="session")
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What is remembered of files stays out of the user's cache."""
    before = os.environ.get("KNOWPACK_CACHE")
    os.environ["KNOWPACK_CACHE"] = str(tmp_path_factory.mktemp("cache"))
    yield
    del os.environ["KNOWPACK_CACHE"]
    if before is not None:
        os.environ["KNOWPACK_CACHE"] = before


@pytest.fixture(params=sorted(CONFIGS))
def loaded(request: pytest.FixtureRequest) -> Loaded:
    return build(request.param)


@pytest.fixture
def llama() -> Loaded:
    return build("llama")


@pytest.fixture(params=["torch", "onednn"])
def library(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Which library multiplies in linear layers, whatever this machine would choose."""
    if request.param == "onednn" and not products.has_onednn():
        pytest.skip("oneDNN's products are only used on AVX-512")
    monkeypatch.setattr(products, "onednn_is_faster", lambda: request.param == "onednn")
    return str(request.param)
