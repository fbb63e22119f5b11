"""Which functions of knowpack no command enters: every command in small settings, every process recorded.

    python scripts/reached.py                 # minutes of one core; prints the functions that nothing entered
    python scripts/reached.py --only facts    # the commands that begin so, to try one; says nothing of functions
    python scripts/reached.py --keep out/reached

Runs the lines of reaching/commands.txt (CALLS: reaching/calls.py) among the files of reaching/given.py, each in a
process of its own, forked so that torch is imported once. recorder/sitecustomize.py notes the functions of src/knowpack
that these processes, and those that they start, enter. Against them stand all functions in the sources, but for those
whose body is a docstring alone. What is left is printed by module, under the reason in reaching/not_here.yaml: an
error that none of these commands makes, other hardware, another architecture, an optional package. Exit code 1 where a
module has a function left and no reason.
"""

import argparse
import ast
import os
import pty
import resource
import shlex
import signal
import sys
import tempfile
import time
import traceback
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack
from importlib import import_module
from pathlib import Path
from typing import NamedTuple, NoReturn

import yaml

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "knowpack"
HERE = ROOT / "scripts" / "reaching"
sys.path[:0] = [str(PACKAGE.parent), str(HERE), str(HERE / "recorder"), str(ROOT / "tests")]
sys.modules.pop("sitecustomize", None)
os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is imported, here and in what the commands start

import given  # noqa: E402
import sitecustomize  # noqa: E402
from servers import Servers  # noqa: E402

PRELOADED = (
    "lm_eval.models.huggingface",
    "knowpack.cli.main",
    "knowpack.study",
    "knowpack.pack.flow",
    "knowpack.bench.evaluate",
    "knowpack.report",
    "knowpack.train.train",
)
SET = "--set probe.n_prompts=2 --set probe.n_floors=1"
FEW = f"{SET} --set further.n_facts=6 --set further.n_forms=4"
KEEP = "recipe=keep rank=2 n_replay=16 n_made_up=4 n_texts=4 n_contexts=1 replay_batch=8 max_steps=6 tail_steps=2"
SHORT = {"SET": SET, "FEW": FEW, "KEEP": " ".join([FEW, *(f"--set train.{setting}" for setting in KEEP.split())])}
"""Words of commands.txt that stand for settings."""
GOOD = {"facts lint": {0, 1}, "facts paraphrase": {0, 2}, "pack": {0, 3}, "diff": {0, 3}}
"""Exit codes that are no failure: something was found; the lab writes no wording; a limit is not met, or not shown."""


class Function(NamedTuple):
    """One function of the sources."""

    path: Path
    line: int
    """Of its first decorator, else of its def."""
    name: str
    """With its class."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="Run the commands that begin so.")
    parser.add_argument("--keep", type=Path, help="Work in this folder, and leave it; what ran there is not run again.")
    args = parser.parse_args()
    with ExitStack() as stack:
        folder = args.keep or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        entered = run_all(folder.absolute(), args.only, stack)
    if not args.only:
        sys.exit(print_unreached(entered))


def run_all(folder: Path, only: str, stack: ExitStack) -> set[str]:
    """Every command, in order -> what they entered, as `path:line`."""
    out = folder / "entered.txt"
    os.environ |= {
        "PYTHONPATH": os.pathsep.join([str(HERE / "recorder"), str(PACKAGE.parent)]),
        "REACHED_OUT": str(out),
        "KNOWPACK_CACHE": str(folder / "cache"),
        "OPENAI_API_KEY": "none",
    }
    folder.mkdir(parents=True, exist_ok=True)
    sitecustomize.record(str(out))
    for module in PRELOADED:  # imported and no more: a process in which polars has threads does not fork well
        import_module(module)
    servers, n_failed = Servers(folder, stack), 0
    for number, line in enumerate(["FILES", *commands()]):
        log = folder / f"{number:02d}.log"
        if (line.startswith(only) or number == 0) and not log.exists():
            n_failed += not run(line, folder, log, servers)
    if n_failed:
        sys.exit(f"{n_failed} commands failed")
    return set(out.read_text().splitlines())


def commands() -> list[str]:
    lines = (HERE / "commands.txt").read_text().splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def run(line: str, folder: Path, log: Path, servers: Servers) -> bool:
    """One command in a process of its own; what it printed is kept in its log. False where it failed."""
    started, before = time.monotonic(), seconds()
    words = shlex.split(" ".join(SHORT.get(word, servers.filled(word)) for word in line.split(" ")))
    how = words.pop(0) if words[0].isupper() else ""
    until = folder / words.pop(0) if how == "STOP" else None
    output = log.with_suffix(".part")
    output.unlink(missing_ok=True)
    if how == "TERMINAL":
        pid, terminal = pty.fork()
    else:
        pid = os.fork()
    if pid == 0:
        child(how, words, folder, None if how == "TERMINAL" else output)
    if how == "TERMINAL":
        drain(terminal, output)
    code = ended(pid, until)
    expected = {130} if how == "STOP" else GOOD.get(" ".join(words[:2])) or GOOD.get(" ".join(words[:1]), {0})
    if code not in expected:
        print(f"FAILED with exit code {code}: {line}", *output.read_text().splitlines()[-20:], sep="\n", flush=True)
        return False
    output.rename(log)
    print(f"{seconds() - before:5.0f} s of a core, {time.monotonic() - started:4.0f} s  {line}", flush=True)
    return True


def ended(pid: int, until: Path | None) -> int:
    """The exit code of a process; Ctrl-C is sent to it once the file is there."""
    while until is not None:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        if until.exists():
            os.kill(pid, signal.SIGINT)
            until = None
        time.sleep(0.05)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def child(how: str, words: list[str], folder: Path, output: Path | None) -> NoReturn:
    """A command as its own process would run it. Never comes back."""
    code = 1
    try:
        signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where this script runs in the background
        os.chdir(folder)
        if output is not None:
            for stream in (1, 2):
                os.dup2(os.open(output, os.O_WRONLY | os.O_CREAT | os.O_APPEND), stream)
        if how == "FILES":
            given.write(folder)
        elif how == "CALLS":
            import_module("calls").main()
        code = called(words) if words else 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def called(words: list[str]) -> int:
    """The command's exit code."""
    from knowpack.cli import main as cli

    sys.argv = ["knowpack", *words]
    try:
        cli.main()
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0


def drain(terminal: int, output: Path) -> None:
    """What a command prints on its terminal, until it ends."""
    with output.open("wb") as out:
        while True:
            try:
                data = os.read(terminal, 1 << 16)
            except OSError:  # the other side is closed
                return
            if not data:
                return
            out.write(data)


def seconds() -> float:
    """Of a core, of this process and those that have ended below it."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def print_unreached(entered: set[str]) -> int:
    """What is left, by module, with its reason -> the exit code."""
    by_reason: dict[str, list[str]] = yaml.safe_load((HERE / "not_here.yaml").read_text())
    reasons = {module: reason for reason, modules in by_reason.items() for module in modules}
    every = list(functions())
    left: dict[str, list[Function]] = defaultdict(list)
    for one in every:
        if f"{one.path}:{one.line}" not in entered:
            left[str(one.path.relative_to(PACKAGE))].append(one)
    for module, missing in sorted(left.items()):
        print(f"{module}: {reasons.get(module, 'NO REASON GIVEN')}")
        for one in missing:
            print(f"    {one.line:4d} {one.name}")
    n_left = sum(map(len, left.values()))
    print(
        f"{len(every):,} functions; {len(every) - n_left:,} entered, {n_left} not, in {len(left)} modules; "
        f"{seconds() / 60:.1f} minutes of a core"
    )
    if unneeded := sorted(reasons.keys() - left.keys()):
        print(f"a reason and nothing left: {', '.join(unneeded)}")
    return 1 if left.keys() - reasons.keys() else 0


def functions() -> Iterator[Function]:
    """Every function and method in the sources that has a body."""
    for path in sorted(PACKAGE.rglob("*.py")):
        yield from _below(ast.parse(path.read_text(encoding="utf-8")), path, "")


def _below(node: ast.AST, path: Path, inside: str) -> Iterator[Function]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            if not all(isinstance(one, ast.Expr) and isinstance(one.value, ast.Constant) for one in child.body):
                yield Function(path, sitecustomize.first_line(child), inside + child.name)
            yield from _below(child, path, f"{inside}{child.name}.")
        else:
            yield from _below(child, path, f"{inside}{child.name}." if isinstance(child, ast.ClassDef) else inside)


if __name__ == "__main__":
    main()
