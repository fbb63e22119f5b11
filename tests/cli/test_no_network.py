"""With everything local no command opens a connection or looks up a name."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

import tiny

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
from knowpack.cli import main as cli
ended = []
for line in json.load(sys.stdin):
    sys.argv = ["knowpack", *line]
    before = len(asked)
    try:
        cli.main()
        code = 0
    except SystemExit as stop:
        code = stop.code or 0
    ended.append([" ".join(line[:2]), code, asked[before:]])
print("ENDED " + json.dumps(ended))
"""


def ended(commands: list[list[object]], folder: Path) -> dict[str, tuple[int, list[list[str]]]]:
    """Command -> exit code, what it asked of the network."""
    given = json.dumps([list(map(str, command)) for command in commands])
    done = subprocess.run(
        [sys.executable, "-c", GUARD], input=given, capture_output=True, text=True, cwd=folder, check=False
    )
    last = done.stdout.rpartition("ENDED ")[2]
    assert done.returncode == 0, done.stderr[-2000:]
    return {name: (code, asked) for name, code, asked in json.loads(last)}


@pytest.mark.slow
def test_with_everything_local_no_command_opens_a_socket(tmp_path: Path) -> None:
    model = tiny.save_model(tmp_path / "model")
    facts, shots = tiny.save_facts(tmp_path / "facts.parquet", 40), tiny.save_shots(tmp_path / "shots.csv")
    new = tmp_path / "new.csv"
    new.write_text("question,answer\n" + "".join(f"Who keeps Quill {i}?,Mira {i}\n" for i in range(3)))
    (tmp_path / "g.nt").write_text("<http://x/Ann> <http://dbpedia.org/ontology/birthPlace> <http://x/Bobville> .\n")
    probe = {"shots": str(shots), "n_prompts": 2, "n_shots": 2, "max_new_tokens": 4}
    base = {
        "model": {"name": str(model)},
        "facts": {"path": str(facts)},
        "probe": probe,
        "mix": {"n_unknown": 3},
        "train": {"epochs": 1},
        "work": str(tmp_path / "work"),
    }
    (tmp_path / "run.yaml").write_text(yaml.safe_dump(base))
    (tmp_path / "study.yaml").write_text(yaml.safe_dump({"name": "s", "base": base, "cells": [{"label": "a"}]}))
    small = [part for name, value in probe.items() if name != "shots" for part in ("--set", f"probe.{name}={value}")]
    asking = ["--model", model, "--facts", facts, "--shots", shots, *small, "--quiet"]
    short = {"rank": 2, "n_replay": 8, "n_made_up": 2, "n_texts": 2, "n_contexts": 1, "max_steps": 4, "tail_steps": 2}
    keep = [part for name, value in short.items() for part in ("--set", f"train.{name}={value}")]
    lab = ["--model", model, "--tasks", "lab_mc", "--limit", 3, "--quiet"]
    packing = ["--model", model, "--known", facts, "--shots", shots, *small, "--set", "train.recipe=keep", *keep]
    commands: list[list[object]] = [
        ["facts", "import", new, "--out", "new.parquet"],
        ["facts", "lint", "new.parquet"],
        ["facts", "paraphrase", "new.parquet", "--out", "more.parquet"],
        ["facts", "dbpedia", "--triples", "g.nt", "--out", "kg.parquet", "--quiet"],
        ["probe", *asking, "--out", "probed"],
        ["mix", "--facts", facts, "--knowledge", "probed", "--unknown", 3, "--out", "examples.parquet"],
        ["train", "--model", model, "--examples", "examples.parquet", "--out", "adapter", "--quiet"],
        ["diff", *asking, "--adapter", "adapter", "--trained", "examples.parquet", "--out", "diff"],
        ["run", "run.yaml", "--quiet"],
        ["study", "study.yaml", "--quiet"],
        ["show", "work"],
        ["report", "work/studies/s", "--quiet"],
        ["bench", *lab, "--out", "bench"],
        ["pack", new, *packing, "--out", "packed", "--quiet"],
    ]
    found = ended(commands, tmp_path)
    assert {name: asked for name, (_, asked) in found.items() if asked} == {}
    assert len(found) == len(commands), "every command was run"
    refused = {name: code for name, (code, _) in found.items() if code not in (0, 1, 3)}
    assert refused == {}, "each did its work: 1 a finding of lint, 3 a limit that is not met"


def test_the_guard_sees_a_connection_and_a_look_up(tmp_path: Path) -> None:
    endpoint = ["--endpoint", "http://127.0.0.1:9/sparql", "--pause", 0]
    (tmp_path / "f.csv").write_text("question,answer,object\nWho?,Ann,Q1\n")
    asking = ["facts", "wikidata-aliases", "f.csv", *endpoint, "--out", "more.parquet", "--quiet"]
    ((code, asked),) = ended([asking], tmp_path).values()
    assert code == 2
    assert ["socket.connect", "('127.0.0.1', 9)"] in asked
