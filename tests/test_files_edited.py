"""Files of the user's that are edited in place: what was made of the old ones is not used again."""

import shutil
from pathlib import Path
from types import SimpleNamespace

import polars as pl
import pytest

import tiny
from commands import call, options
from knowpack import records, store
from knowpack.base import Base, bench_folder, measure_base, open_base
from knowpack.base.answer_cache import keys
from knowpack.base.base import probe_key, rendered
from knowpack.config import RunConfig
from knowpack.facts.sources import load_shots
from knowpack.manifest import begin
from knowpack.measure.grading import GRADER_VERSION
from knowpack.pack.request import Request, identity
from knowpack.probe.turns import Shot
from knowpack.records import Score
from knowpack.report.finished_run import Run
from knowpack.run import folder_of
from knowpack.settings import override

SMALL = ["probe.n_prompts=1", "probe.n_shots=1", "probe.n_floors=1", "probe.max_new_tokens=4"]


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.save_all(tmp_path_factory.mktemp("given"))


@pytest.fixture
def config(given: Path, tmp_path: Path) -> RunConfig:
    """A pool of two examples: that of the prompt of the probe, and that of the fresh one."""
    tiny.save_shots(given / "shots.csv", 2)
    return tiny.run_config(given, [*SMALL, f"work={tmp_path / 'work'}"])


def edit(pool: Path, base: Base) -> Shot:
    """Another answer to an example that the probe's own prompt does not show; the example as it is now."""
    rows = pl.read_csv(pool)
    (mine,), changed = base.shots[0], pl.col("question")
    other = next(question for question in rows["question"] if question != mine.question)
    rows.with_columns(answer=pl.when(changed == other).then(pl.lit("Zed")).otherwise("answer")).write_csv(pool)
    return Shot(other, "Zed")


def test_a_pool_of_shots_that_was_edited_is_asked_anew_and_the_same_one_elsewhere_is_not(
    given: Path, config: RunConfig, tmp_path: Path
) -> None:
    """The key held the probe's own prompts alone: fresh prompts and training's contexts kept the old examples."""
    before = open_base(config)
    moved = tmp_path / "elsewhere.csv"
    moved.write_bytes((given / "shots.csv").read_bytes())
    there = config.model_copy(update={"probe": config.probe.model_copy(update={"shots": str(moved)})})
    same = open_base(there, asker=before.asker)
    assert same.folder == before.folder
    assert folder_of(there, same) == folder_of(config, before)
    edit(given / "shots.csv", before)
    after = open_base(config, asker=before.asker)
    assert after.shots == before.shots
    assert after.folder != before.folder
    assert folder_of(config, after) != folder_of(config, before)


def test_a_pool_of_shots_that_is_edited_while_the_base_is_open_is_read_once(given: Path, config: RunConfig) -> None:
    """Fresh prompts were drawn from the file as it stood by then, into the folder that is named after the old one."""
    base = open_base(config)
    old = load_shots(given / "shots.csv")
    edit(given / "shots.csv", base)
    measure_base(base, config)
    asked = store.read_table(base.folder / "fresh-1" / "asked.parquet")
    plain = config.probe.model_copy(update={"logprob": False, "n_samples": 0})
    possible = [keys(base, base.facts, [[Shot(*row)]], plain) for row in old.iter_rows()]
    assert sum(one.equals(asked) for one in possible) == 1


def test_a_base_whose_pool_is_in_the_package_keeps_its_folder(config: RunConfig) -> None:
    """By hand, from what was in the key before a pool in a file was."""
    named = config.model_copy(update={"probe": config.probe.model_copy(update={"shots": "general"})})
    base = open_base(named)
    key = {
        **base.asker.identity._asdict(),
        "facts": store.hash_table(base.facts),
        "shots": [[list(shot) for shot in draw] for draw in base.shots],
        "prompts": store.hash_of([rendered(base.prompter, draw) for draw in base.shots]),
        "probe": probe_key(named),
        "grader": GRADER_VERSION,
    }
    assert base.folder.name == store.hash_of(key)


def test_another_pool_of_shots_is_another_probe_in_the_same_out(
    given: Path, config: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It kept the fresh answers of the old one."""
    command = ["probe", *options(given, SMALL), "--out", tmp_path / "out", "--quiet"]
    assert call(monkeypatch, *command) == 0
    assert call(monkeypatch, *command) == 0
    edit(given / "shots.csv", open_base(config))
    capsys.readouterr()
    assert call(monkeypatch, *command) == 2
    assert "holds another probe (other few-shot pool); give another --out" in capsys.readouterr().err


def test_another_pool_of_shots_is_another_pack(given: Path, config: RunConfig, tmp_path: Path) -> None:
    """Its attempts were trained under contexts from the old one, and nothing compared them."""
    request = Request(out=tmp_path / "out", probe=config.probe)
    facts = tiny.facts(2)
    before = identity(request, facts, facts)
    rows = pl.read_csv(given / "shots.csv")
    rows.with_columns(answer=pl.lit("Zed")).write_csv(given / "shots.csv")
    after = identity(request, facts, facts)
    assert {name for name in before if before[name] != after[name]} == {"few-shot pool"}


@pytest.mark.parametrize("setting", ["further.text={}/text.txt", "bench.include={}/own bench.tasks=[mine]"])
def test_text_and_tasks_that_were_edited_are_another_run_and_another_pack(
    given: Path, config: RunConfig, tmp_path: Path, setting: str
) -> None:
    """Both were in the hash by their path: the figures and scores of the old ones stood as those of the new."""
    (tmp_path / "own").mkdir()
    files = [tmp_path / "text.txt", tmp_path / "own" / "mine.yaml"]
    for file in files:
        file.write_text("task: mine\n")
    base = SimpleNamespace(folder=Path("base/0123"))
    facts = tiny.facts(2)

    def names(place: Path) -> tuple[str, object]:
        settings = setting.format(place).split()
        request = override(Request(out=tmp_path / "out"), settings)
        return folder_of(override(config, settings), base).name, identity(request, facts, facts)["settings"]  # type: ignore[arg-type]

    before = names(tmp_path)
    shutil.copytree(tmp_path / "own", tmp_path / "there" / "own")
    shutil.copy(files[0], tmp_path / "there")
    assert names(tmp_path / "there") == before
    for file in files:
        file.write_text("task: mine\n# other\n")
    run, pack = names(tmp_path)
    assert run != before[0]
    assert pack != before[1]


@pytest.mark.parametrize(
    ("part", "changes"), [("facts.sample=4", True), ("facts.screen=4", True), ("facts.sample=null", False)]
)
def test_facts_edited_beside_those_that_are_asked_are_another_run(
    config: RunConfig, tmp_path: Path, part: str, changes: bool
) -> None:
    """Replay and the questions beside the probe are made of them: the run of the old ones stood for the new. Where all
    are asked the base's folder, which is the same here, says what they are."""
    base = SimpleNamespace(folder=Path("base/0123"))
    file = Path(shutil.copy(str(config.facts.path), tmp_path / "mine.parquet"))
    config = override(config, [f"facts.path={file}", part])
    before = folder_of(config, base)  # type: ignore[arg-type]
    facts = pl.read_parquet(file)
    store.write_table(file, facts.with_columns(question=pl.col("question").str.replace("Where", "In what place")))
    assert (folder_of(config, base) != before) is changes  # type: ignore[arg-type]


def test_a_pack_that_names_no_file_keeps_its_folder(tmp_path: Path) -> None:
    """By hand, from the settings that were in its identity before the content of files was."""
    request = Request(out=tmp_path / "out")
    names = {"seed", "probe", "bench", "further", "train", "n_report", "n_validation", "n_screen"}
    facts = tiny.facts(2)
    found = identity(request, facts, facts)
    assert found["settings"] == store.hash_of(request.model_dump(mode="json", include=names))
    assert set(found) == {"facts", "facts to keep", "model", "settings", "grader"}


def test_a_report_finds_the_base_scores_of_benchmark_data_in_a_folder(
    given: Path, config: RunConfig, tmp_path: Path
) -> None:
    """It looked under the settings' hash, which does not say what is in the folder: no run with bench.data showed what
    the base had scored."""
    data = tmp_path / "data"
    (data / "arc" / "ARC-Easy").mkdir(parents=True)
    store.write_table(data / "arc" / "ARC-Easy" / "test.parquet", pl.DataFrame({"question": ["What is 1?"]}))
    config = override(config, ["bench.tasks=[arc_easy]", f"bench.data={data}"])
    base = open_base(override(config, ["bench.tasks=[]"]))
    scores = records.table([Score("arc_easy", "acc", 0.5, 0.1, 25)], Score)
    store.write_table(bench_folder(base, config) / "scores.parquet", scores)
    run = tmp_path / "work" / "runs" / "run"
    run.mkdir(parents=True)
    begin(run, config, base)
    found = Run(run, store.read_manifest(run), base.folder).base_scores()
    assert found is not None
    assert found.equals(scores)
