"""The wheel and the sdist hold what an installed knowpack reads: data, templates, the lab. Nothing is installed."""

import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CODE = {".py", ".pyc"}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both, built by the backend that pyproject.toml names."""
    out = tmp_path_factory.mktemp("dist")
    code = f"import hatchling.build as b; b.build_wheel({str(out)!r}); b.build_sdist({str(out)!r})"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, env=os.environ)
    assert done.returncode == 0, done.stderr
    return out


def data() -> set[str]:
    """Every file of the package that is no code, as it lies in the source."""
    source = ROOT / "src"
    found = (path for path in (source / "knowpack").rglob("*") if path.is_file() and path.suffix not in CODE)
    return {path.relative_to(source).as_posix() for path in found if "__pycache__" not in path.parts}


def test_the_wheel_has_all_data_of_the_package_and_nothing_of_the_tests(built: Path) -> None:
    (wheel,) = built.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        entry = next(name for name in names if name.endswith("entry_points.txt"))
        assert "knowpack = knowpack.__main__:main" in archive.read(entry).decode()
    needed = {"facts/data/world.parquet", "lab/weights/model.safetensors", "presets/paper.yaml", "py.typed"}
    assert {f"knowpack/{name}" for name in needed} <= data(), "else this test looks for what is not there"
    assert data() <= names
    assert not [name for name in names if name.startswith(("tests/", "docs/", "benchmarks/"))]
    assert wheel.stat().st_size < 40e6


def test_the_sdist_has_the_sources_the_tests_and_the_licence(built: Path) -> None:
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"pyproject.toml", "LICENSE", "README.md", "CHANGELOG.md", "tests/test_wheel.py"} <= names
    assert {f"src/{name}" for name in data()} <= names
