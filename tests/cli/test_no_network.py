"""With everything local no command opens a connection or looks up a name."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from test_cli import COMMANDS

import commands
import tiny

EVERY = {name.removeprefix("knowpack ") for name in COMMANDS}
ASKS_THE_NETWORK = {"facts wikidata-aliases"}

# Runs the commands one after the other in a process of its own and prints what they asked of the network. The hook
# sees every connection and look-up made through Python's sockets, whatever library makes it; HF_HUB_OFFLINE is unset.
GUARD = """
import json, sys
asked = []
def hook(event, args):
    if event in ("socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr"):
        asked.append([event, str(args[0])])
    elif event in ("socket.connect", "socket.sendto") and isinstance(args[1], tuple):
        asked.append([event, str(args[1])])
sys.addaudithook(hook)
from commands import two_steps
from knowpack.cli import main as cli
from knowpack.train import recipes
recipes.for_model = two_steps
ended = []
for line in json.load(sys.stdin):
    sys.argv = ["knowpack", *line]
    before = len(asked)
    try:
        cli.main()
        code = 0
    except SystemExit as stop:
        code = stop.code or 0
    ended.append([" ".join(line), code, asked[before:]])
print("ENDED " + json.dumps(ended))
"""


def ended(lines: list[list[object]], folder: Path) -> dict[str, tuple[int, list[list[str]]]]:
    """Command line -> exit code, what it asked of the network."""
    given = json.dumps([list(map(str, line)) for line in lines])
    here = os.pathsep.join([str(Path(commands.__file__).parent), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "-c", GUARD],
        input=given,
        capture_output=True,
        text=True,
        cwd=folder,
        check=False,
        env=os.environ | {"PYTHONPATH": here},
    )
    last = done.stdout.rpartition("ENDED ")[2]
    assert done.returncode == 0, done.stderr[-2000:]
    return {line: (code, asked) for line, code, asked in json.loads(last)}


def called(lines: list[list[object]]) -> set[str]:
    """The commands that these lines call."""
    two = {f"{line[0]} {line[1]}" for line in lines} & EVERY
    return two | {str(line[0]) for line in lines if f"{line[0]} {line[1]}" not in two} & EVERY


def every_line(folder: Path) -> list[list[object]]:
    """Each command on what is made here: a random model, facts, files of settings."""
    model = tiny.save_model(folder / "model")
    facts, shots = tiny.save_facts(folder / "facts.parquet", 60), tiny.save_shots(folder / "shots.csv")
    new = folder / "new.csv"
    new.write_text("question,answer\n" + "".join(f"Who keeps Quill {i}?,Mira {i}\n" for i in range(3)))
    born = "http://dbpedia.org/ontology/birthPlace"
    (folder / "g.nt").write_text(f"<http://x/Ann> <{born}> <http://x/Bobville> .\n")
    (folder / "g.tsv").write_text("Ann Lee\tbirthPlace\tBobville\n")
    (folder / "raw" / "arc").mkdir(parents=True)
    (folder / "raw" / "arc" / "easy_test.jsonl").write_text('{"question": "Q?", "choices": ["a", "b"], "gold": 0}\n')
    probe = {"shots": str(shots), "n_prompts": 2, "n_shots": 1, "max_new_tokens": 4}
    base = {
        "model": {"name": str(model)},
        "facts": {"path": str(facts)},
        "probe": probe,
        "mix": {"n_unknown": 3},
        "train": {"epochs": 1},
        "work": str(folder / "work"),
    }
    (folder / "run.yaml").write_text(yaml.safe_dump(base))
    (folder / "study.yaml").write_text(yaml.safe_dump({"name": "s", "base": base, "cells": [{"label": "a"}]}))
    small = [part for name, value in probe.items() if name != "shots" for part in ("--set", f"probe.{name}={value}")]
    asking = ["--model", model, "--facts", facts, "--shots", shots, *small, "--quiet"]
    bench = ["bench", "--model", model, "--limit", 3, "--quiet"]
    packing = ["--model", model, "--known", facts, "--shots", shots, *small, "--quiet", "--effort", "quick"]
    return [
        ["facts", "import", new, "--out", "new.parquet"],
        ["facts", "lint", "new.parquet"],
        ["facts", "paraphrase", "new.parquet", "--out", "more.parquet"],
        ["facts", "dbpedia", "--triples", "g.nt", "--out", "kg.parquet", "--quiet"],
        ["facts", "triples", "g.tsv", "--out", "triples.parquet", "--quiet"],
        ["lab", "facts", "--out", "lab.parquet"],
        ["lab", "build", "--size", "mini", "--tokens", 1000, "--out", "lab", "--quiet"],
        ["lab", "card", "--sample", 4, "--work", "card", "--quiet"],
        ["probe", *asking, "--out", "probed"],
        ["mix", "--facts", facts, "--knowledge", "probed", "--unknown", 3, "--out", "examples.parquet"],
        ["train", "--model", model, "--examples", "examples.parquet", "--out", "adapter", "--quiet"],
        ["diff", *asking, "--adapter", "adapter", "--trained", "examples.parquet", "--out", "diff"],
        ["run", "run.yaml", "--quiet"],
        ["study", "study.yaml", "--quiet"],
        ["show", "work"],
        ["show", "work", "--verify"],
        ["report", "work/studies/s", "--quiet"],
        [*bench, "--tasks", "lab_mc", "--out", "bench"],
        [*bench, "--tasks", "lab_mc", "--adapter", "adapter", "--out", "tuned"],
        ["bench", "compare", "bench", "tuned"],
        ["bench", "prepare", "raw", "--out", "data"],
        [*bench, "--tasks", "arc_easy", "--data", "data", "--out", "arc"],
        ["pack", new, *packing, "--out", "packed"],
        [*commands.capacity(folder), "--out", "held"],
        ["export", "adapter", "--model", model, "--to", "merged", "--check", 0, "--out", "merged", "--quiet"],
        ["push", "adapter", "me/facts", "--dry-run"],
    ]


def test_every_command_is_under_the_guard_but_the_one_that_asks_an_endpoint(tmp_path: Path) -> None:
    assert called(every_line(tmp_path)) == EVERY - ASKS_THE_NETWORK


@pytest.mark.slow
def test_with_everything_local_no_command_opens_a_socket(tmp_path: Path) -> None:
    lines = every_line(tmp_path)
    found = ended(lines, tmp_path)
    assert {line: asked for line, (_, asked) in found.items() if asked} == {}
    assert len(found) == len(lines), "every command was run"
    refused = {line: code for line, (code, _) in found.items() if code not in (0, 1, 3)}
    none_known = "lab card --sample 4 --work card --quiet"  # said after all was asked
    assert refused == {none_known: 2}, "each did its work: 1 a finding of lint, 3 a limit that is not met"


def test_the_guard_sees_a_connection_and_a_look_up(tmp_path: Path) -> None:
    endpoint = ["--endpoint", "http://127.0.0.1:9/sparql", "--pause", 0]
    (tmp_path / "f.csv").write_text("question,answer,object\nWho?,Ann,Q1\n")
    asking = ["facts", "wikidata-aliases", "f.csv", *endpoint, "--out", "more.parquet", "--quiet"]
    ((code, asked),) = ended([asking], tmp_path).values()
    assert code == 2
    assert ["socket.connect", "('127.0.0.1', 9)"] in asked
