"""What the pages for contributors name is there: files, functions, tests."""

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = ("docs/extending.md", "CONTRIBUTING.md")
PLACES = ("", "src/knowpack/", "tests/", "docs/")
ROOMS = [path for path in sorted((ROOT / "src" / "knowpack").rglob("__init__.py")) if path.parent.name != "knowpack"]
LARGE = 8  # files of a room: more need a list
NO_LIST = ("cli", "lab")  # a file a group of commands; a file a step of the build


@pytest.mark.parametrize("page", PAGES)
def test_every_file_that_a_contributors_page_names_is_there(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    named = set(re.findall(r"`([\w./]+\.(?:py|md|yaml))`", text)) | set(re.findall(r"\]\(([\w./]+\.md)\)", text))
    assert len(named) > 5
    missing = [name for name in named if not any((ROOT / place / name).exists() for place in PLACES)]
    missing = [name for name in missing if not (ROOT / page).parent.joinpath(name).exists()]
    assert missing == []


def test_the_tree_in_the_readme_names_all_rooms_and_no_others() -> None:
    """forecast.py stood there long after it had become forecast/, and presets/ did not."""
    tree = (ROOT / "README.md").read_text(encoding="utf-8").partition("## Where things are")[2].partition("\n## ")[0]
    inner = re.findall(r"^ {6}((?:[\w/.]+ )+)", tree, flags=re.M)
    named = {name.rstrip("/") for line in inner for name in line.split() if name.endswith((".py", "/"))}
    code = ROOT / "src" / "knowpack"
    rooms = {path.name for path in code.iterdir() if path.suffix == ".py" or (path / "__init__.py").is_file()}
    assert named == rooms - {"__init__.py", "__main__.py"}


@pytest.mark.parametrize("room", ROOMS, ids=lambda path: path.parent.name)
def test_the_list_of_files_in_a_rooms_docstring_is_of_its_files(room: Path) -> None:
    """pack/ listed going_on.py, which had become continuing.py, and facts/ four files that there were no more."""
    docstring = ast.get_docstring(ast.parse(room.read_text(encoding="utf-8"))) or ""
    named = set(re.findall(r"(?<!/)\b(\w+\.py)\b", docstring))
    there = {path.name for path in room.parent.glob("*.py") if "__" not in path.name}
    if named or (len(there) > LARGE and room.parent.name not in NO_LIST):
        assert named == there


@pytest.mark.parametrize(
    ("file", "names"),
    [
        ("measure/causes.py", ["RULES", "_by_grader"]),
        ("measure/evidence.py", ["class CauseRule", "class Evidence"]),
        ("train/objective.py", ["class Term", "class TermInput", "class StepBatch", "def terms"]),
        ("train/keep.py", ["class Loop", "def _draw", "def state", "def go_on_from"]),
        ("train/shared.py", ["def can_pack"]),
        ("probe/askers.py", ["class TokenAsker", "class TextAsker", "class Keeps", "class Identity", "def by_ids"]),
        ("facts/sources.py", ["SOURCES", "class Source", "def check"]),
        ("decode/transformers_asker.py", ["def weights_of"]),
        ("served/opening.py", ["def open_asker"]),
    ],
)
def test_every_name_that_extending_md_names_is_there(file: str, names: list[str]) -> None:
    text = (ROOT / "src" / "knowpack" / file).read_text(encoding="utf-8")
    assert [name for name in names if name not in text] == []


def test_the_site_is_built_without_a_warning(tmp_path: Path) -> None:
    """Every page in the navigation, every link, every name that the API page documents."""
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path / "site")]
    environment = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "site" / "api" / "index.html").read_text(encoding="utf-8")
    assert "knowpack.api.pack" in page
    assert "known_lost" in page
