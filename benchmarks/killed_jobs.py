"""The jobs that kill_campaign.py kills: their input files and commands, and the process that runs one of them.

A job's name + a folder -> a process in it, which may kill itself before a file event of a given number.
"""

import multiprocessing
import os
import signal
import sys
from multiprocessing.process import BaseProcess
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is imported, in the campaign and in its runs
QUESTIONS = "question,answer,subject,relation\n" + "".join(
    f"What is the {relation} of Quill {i}?,{answer} {i},Quill {i},{relation}\n"
    for i in range(2)
    for relation, answer in (("colour", "mauve"), ("fish", "carp"))
)
STUDY = """name: killed
seeds: [42]
base:
  work: work
  facts: {path: lab, sample: 40}
  probe: {n_prompts: 2, n_floors: 1}
  train: {lr: 1.0e-2, epochs: 2}
cells: [{label: a, mix.n_unknown: 4}, {label: b, mix.n_unknown: 8}]
"""
TRIPLES = "".join(
    f"<http://x/Mira_{a}{b}en> <http://dbpedia.org/ontology/birthPlace> <http://x/{a}{b}ville> .\n"
    for a in ("Bran", "Kor", "Tav", "Sol", "Wel", "Hol")
    for b in ("di", "ka", "lo", "mu", "ne", "po", "ra")
)
SHORT = {"rank": 2, "n_replay": 16, "n_made_up": 4, "n_texts": 4, "n_contexts": 1, "max_steps": 12, "tail_steps": 4}
JOBS: dict[str, list[list[str]]] = {
    "study": [["study", "study.yaml", "--quiet"]],
    "pack": [
        ["pack", "new.csv", "--out", "packed", "--sample", "60", "--effort", "quick", "--work", "work", "--quiet"]
        + ["--set", "probe.n_prompts=2", "--set", "train.recipe=keep"]
        + [part for name, value in SHORT.items() for part in ("--set", f"train.{name}={value}")]
    ],
    "probe": [["probe", "--sample", "60", "--set", "probe.n_prompts=2", "--out", "probed", "--quiet"]],
    "bench": [["bench", "--model", "lab", "--tasks", "lab_mc,lab_arc", "--limit", "30", "--out", "benched", "--quiet"]],
    "facts": [
        ["facts", "import", "new.csv", "--out", "facts/new.parquet"],
        ["facts", "paraphrase", "facts/new.parquet", "--out", "facts/more.parquet"],
        ["facts", "dbpedia", "--triples", "g.nt", "--out", "facts/graph.parquet", "--quiet"],
    ],
}
GOOD = {0, 3}  # 3: pack's limits are not met, which such small settings cannot show


def work(job: str, folder: Path, kill_at_event: int | None, events: Path | None, report: bool) -> None:
    """What a child does: the job's commands in its folder; it kills itself before the file event of that number."""
    os.chdir(folder)
    os.environ["KNOWPACK_CACHE"] = str(folder.parent / "cache")
    n = 0

    def watch(event: str, given: tuple[object, ...]) -> None:
        nonlocal n
        if not _writes(event, given, str(folder)):
            return
        n += 1
        if n == kill_at_event:
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(watch)
    import knowpack.report
    from knowpack.api import calls
    from knowpack.cli import main as cli
    from knowpack.probe import probe

    probe.CHUNK_FACTS = 11  # several chunks
    if not report:
        knowpack.report.built = calls.built = _end_here  # type: ignore[assignment]
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 1)
        for command in JOBS[job]:
            if job == "facts" and Path(command[command.index("--out") + 1]).is_file():
                continue  # one stage each: an existing file is complete, and nobody asks for it again
            sys.argv = ["knowpack", *command]
            code = 0
            try:
                cli.main()
            except SystemExit as stop:
                code = int(stop.code or 0)
            if code not in GOOD:
                os._exit(code)
    if events is not None:
        events.write_text(str(n))
    os._exit(0)


def _end_here(*_: object, **__: object) -> None:
    raise SystemExit(0)


def _writes(event: str, given: tuple[object, ...], folder: str) -> bool:
    """Whether an audit event is about to change a file below the folder."""
    if event == "open":
        path, mode = given[0], given[1]
        if not isinstance(mode, str) or not set(mode) & set("wax+"):
            return False
    elif event in ("os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link", "os.truncate"):
        path = given[0]
    else:
        return False
    if not isinstance(path, str | bytes | os.PathLike):
        return False
    name = os.path.abspath(os.fsdecode(path))
    return name.startswith(folder + os.sep)


def started(
    job: str, folder: Path, kill_at_event: int | None = None, events: Path | None = None, report: bool = False
) -> BaseProcess:
    """The job in a process of its own; the server forks, so that torch is imported once for all of them."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(
        ["knowpack.cli.main", "knowpack.study", "knowpack.pack.flow", "knowpack.train.train"]
    )
    process = context.Process(target=work, args=(job, folder, kill_at_event, events, report))
    process.start()
    return process


def prepare(folder: Path) -> None:
    """The input files."""
    folder.mkdir(parents=True)
    (folder / "new.csv").write_text(QUESTIONS)
    (folder / "study.yaml").write_text(STUDY)
    (folder / "g.nt").write_text(TRIPLES)
