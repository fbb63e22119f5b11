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
NO_CODE = {"lab", "jsonl"}  # in quotes on the page: a source, a file's ending
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


def test_every_name_that_extending_md_names_is_defined() -> None:
    page = (ROOT / "docs" / "extending.md").read_text(encoding="utf-8")
    code = ROOT / "src" / "knowpack"
    placed = re.findall(r"`([\w/]+)\.py`: `(\w+)`", page)  # `measure/causes.py`: `RULES`
    placed += re.findall(r"`(\w+/\w+)\.(?!py\b|md\b)([A-Za-z]\w*)[`.]", page)  # `train/shared.can_pack`
    assert {("measure/causes", "RULES"), ("train/shared", "can_pack")} <= set(placed)
    assert [one for one in placed if not _defines((code / f"{one[0]}.py").read_text(encoding="utf-8"), one[1])] == []
    named = {name.rpartition(".")[2] for name in re.findall(r"`([A-Za-z_][\w.]*)`", page)} - NO_CODE
    assert {"CauseRule", "TokenAsker", "_draw", "go_on_from"} <= named
    whole = "\n".join(path.read_text(encoding="utf-8") for path in code.rglob("*.py"))
    assert [name for name in sorted(named) if not _defines(whole, name)] == []


def _defines(code: str, name: str) -> bool:
    """A function, a class, a constant or a field of this name."""
    return re.search(rf"^ *(?:(?:def|class) )?{name}\b *[:(=]", code, flags=re.M) is not None


def test_the_site_is_built_without_a_warning(tmp_path: Path) -> None:
    """Every page in the navigation, every link, every name that the API page documents."""
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path / "site")]
    environment = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "site" / "api" / "index.html").read_text(encoding="utf-8")
    assert "knowpack.api.pack" in page
    assert "known_lost" in page
