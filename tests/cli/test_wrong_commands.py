"""What people type wrong (wrong_commands.yaml): one line each, before torch is imported, and nothing is written.

All of them run one after the other in one process in which torch cannot be imported: a line that waits for it fails.
"""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml

COMMANDS: Mapping[str, str] = yaml.safe_load(Path(__file__).with_name("wrong_commands.yaml").read_text("utf-8"))

ALL = """
import contextlib, io, json, os, shlex, sys
from pathlib import Path
sys.modules["torch"] = None
from knowpack.cli import main as cli
told = {}
for line in json.loads(sys.stdin.read()):
    before, said, code = set(Path().rglob("*")), io.StringIO(), "none"
    sys.argv = ["knowpack", *shlex.split(line)]
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(said):
        try:
            cli.main()
        except SystemExit as stop:
            code = stop.code
        except BaseException as error:
            code = repr(error)
    told[line] = [code, said.getvalue().splitlines(), sorted(map(str, set(Path().rglob("*")) - before))]
print(json.dumps(told))
"""


class Told(NamedTuple):
    """How a command ended."""

    code: int | str
    said: list[str]
    """Lines on stderr."""
    left: list[str]
    """Files and folders that were not there before."""


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Told]:
    """Every command's end."""
    folder = tmp_path_factory.mktemp("wrong")
    for name, text in FILES.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    (folder / "emptydir").mkdir()
    # no try at the hub: whether it answers is no part of the test
    offline = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    done = subprocess.run(
        [sys.executable, "-c", ALL],
        input=json.dumps(list(COMMANDS)),
        cwd=folder,
        env=offline | {"HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    return {line: Told(*one) for line, one in json.loads(done.stdout.splitlines()[-1]).items()}


CELLS = (
    "name: s\nbase: {{facts: {{path: lab, sample: 100}}, bench: {{tasks: [lab_mc]}}}}\n"
    "cells:\n  - {{label: a, mix.n_unknown: 8}}\n  - {{label: b, {}}}\n"
)
FILES = {
    "facts.csv": "question,answer\n" + "".join(f"Where is Mira Solen {i}?,Branvel {i}\n" for i in range(12)),
    "wrong.csv": "frage,antwort\nWo?,Da\n",
    "header.csv": "question,answer\n",
    "empty.csv": "",
    "damaged.parquet": "question,answer\nWho?,Ada\n",
    "twice.csv": "question,answer\nWho?,Ada\nWho?,Bob\n",
    "notes.txt": "hello\n",
    "afile": "x",
    "taken/mine.txt": "x",
    "probed/manifest.json": json.dumps({"command": "knowpack probe", "request": {}}),
    "list.yaml": "- a\n- b\n",
    "twice.yaml": "cells:\n  - {label: a, mix.n_unknown: 8}\n  - {label: a, mix.n_unknown: 9}\n",
    "broken.yaml": "base: {facts: {path: lab\ncells: [\n",
    "empty.yaml": "",
    "typo.yaml": "facts: {path: lab, samples: 10}\n",
    "run.yaml": "facts: {path: lab, sample: 100}\nmix: {n_unknown: 8}\n",
    "study.yaml": "name: s\nbase: {facts: {path: lab, sample: 100}}\ncells:\n  - {label: a, mix.n_unknown: 8}\n",
    "lasttask.yaml": CELLS.format("bench.tasks: 'lab_arc,lab_mcc'"),
    "lastmodel.yaml": CELLS.format("model.name: labb"),
    "lasttable.yaml": CELLS.format("facts.path: nowhere.csv"),
    "seeds.yaml": "seeds: [1, 1]\ncells:\n  - {label: a, mix.n_unknown: 8}\n",
    "seeded.yaml": "cells:\n  - {label: a, mix.n_unknown: 8, seed: 3}\n",
    "badcell.yaml": "name: s\nbase: {facts: {path: lab, sample: 100}}\ncells:\n  - {label: a, mix.n_unknwn: 8}\n",
    "noweights/adapter_config.json": json.dumps({"peft_type": "LORA", "r": 2, "target_modules": ["up_proj"]}),
    "modeldir/config.json": "{}",
}


@pytest.mark.parametrize("line", COMMANDS)
def test_a_wrong_command_is_one_plain_line_at_once(told: dict[str, Told], line: str) -> None:
    ended = told[line]
    assert ended.code in (1, 2), ended
    begun = [one for one in ended.said if not one.endswith("...")]  # where nobody watches a stage is a line
    assert len(begun) == 1, ended.said
    assert begun[0].startswith("knowpack: ")
    assert COMMANDS[line] in begun[0]
    assert "Input should" not in begun[0]  # pydantic's words
    assert len(begun[0]) < 500
    assert ended.left == []
