"""A second batch asks the base only what is new: the answers that it gave for an earlier pack are found again."""

from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

import knowpack as kp
import tiny
from knowpack import store
from knowpack.base import Base, measure_base, n_unanswered, open_base
from knowpack.config import RunConfig
from knowpack.errors import FactsError
from knowpack.facts.sources import load
from knowpack.pack.problems import KNOWN, Problem
from knowpack.probe import probe as probing
from knowpack.probe.by_ids import IdsJob
from knowpack.settings import override

FIRST = {"Who is Zed?": "Ann Lee", "Who is Ypsilon?": "Bob Orr"}
MORE = {"Who is Xanthe?": "Cy Poll"}
SMALL = ["probe.n_prompts=2", "probe.n_shots=1", "probe.max_new_tokens=6"]
N_SETS = 3  # of prompts that the report asks under: its own, and two fresh ones


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """(weights of the model, question), one for every question that is asked under a set of prompts."""
    found: list[tuple[str, str]] = []
    lines = probing.lines_by_ids

    def counted(job: IdsJob, questions, *rest):  # type: ignore[no-untyped-def]
        found.extend((job.asker.identity.weights, text) for text in questions.texts)  # type: ignore[attr-defined]
        return lines(job, questions, *rest)

    monkeypatch.setattr(probing, "lines_by_ids", counted)
    return found


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.save_all(tmp_path_factory.mktemp("asked"), n=30)


def opened(config: RunConfig) -> Base:
    return replace(open_base(config), looks_back=True)


def pack(place: Path, out: str, facts: dict[str, str], work: str = "work", **onto: object) -> None:
    """A pack of three steps: it learns nothing, and the verdict says so."""
    recipe = {"recipe": "keep", "max_steps": 2, "tail_steps": 1, "n_replay": 4, "n_made_up": 0, "n_texts": 0}
    recipe |= {"n_contexts": 0, "rank": 2, "alpha": 2, "from_layer": 0}
    settings = dict(one.split("=") for one in SMALL) | {f"train.{name}": value for name, value in recipe.items()}
    kp.pack(
        pl.DataFrame({"question": list(facts), "answer": list(facts.values())}),
        known=load(place / "facts.parquet"),
        model=str(place / "model"),
        out=place / out,
        work=place / work,
        budget={"known_lost": None, "refusals_lost": None},
        settings={**settings, "probe.shots": str(place / "shots.csv"), "n_report": 8, "n_validation": 4},
        **onto,  # type: ignore[arg-type]
    )


@pytest.mark.filterwarnings("default")  # of a training of three steps a note is due
def test_a_second_pack_asks_the_base_only_what_is_new(place: Path, asked: list[tuple[str, str]]) -> None:
    pack(place, "first", FIRST)
    of_base = asked[0][0]
    asked.clear()
    pack(place, "second", MORE, onto=place / "first")
    questions = [text for weights, text in asked if weights == of_base and text in {*FIRST, *MORE}]
    others = [text for weights, text in asked if weights == of_base and text in set(tiny.facts(30)["question"])]
    assert set(questions) == set(MORE), "the earlier facts were asked for the first pack"
    assert others == [], "the report's and the validation's facts are those of the first pack"
    assert 1 <= len(questions) <= N_SETS + 1  # the report's sets, and the validation's prompts


def test_that_nothing_is_to_pack_is_said_before_the_report_is_asked(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The report's facts, fresh prompts and benchmarks were asked first. The base seems to know every fact here."""
    monkeypatch.setattr(
        "knowpack.pack.flow.find_problems", lambda facts, before: [Problem(KNOWN, one, "") for one in facts["fact_id"]]
    )
    with pytest.raises(FactsError, match=r"^the base answers all 2 facts already"):
        pack(place, str(tmp_path / "out"), FIRST, work=str(tmp_path / "work"))
    (base,) = (tmp_path / "work" / "base").iterdir()
    asked = {path.relative_to(base).parts[0] for path in base.rglob("responses.parquet")}
    assert asked == {"beside"}, "the packed facts under the prompts that say which are known, and no more"


def test_too_few_facts_to_keep_are_said_before_a_model_is_loaded(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With --screen they were asked first, with --onto the model was loaded."""

    def loaded(*args: object) -> None:
        raise AssertionError("a model was loaded")

    monkeypatch.setattr("knowpack.pack.facts_to_measure.open_asker", loaded)
    with pytest.raises(FactsError, match=r"^harm is measured on facts that are not packed, and there are 10"):
        kp.pack(
            pl.DataFrame({"question": list(FIRST), "answer": list(FIRST.values())}),
            known=tiny.facts(10),
            model=str(place / "model"),
            out=tmp_path / "out",
            work=tmp_path / "work",
            screen=20,
        )


def measured(config: RunConfig) -> dict[str, pl.DataFrame]:
    """Every table of answers and of knowledge, by its place in the base's folder."""
    base = opened(config)
    measure_base(base, config)
    names = ("responses.parquet", "knowledge.parquet")
    return {str(path.relative_to(base.folder)): store.read_table(path) for n in names for path in base.folder.rglob(n)}


def test_answers_that_are_found_are_those_that_would_be_given(place: Path, tmp_path: Path) -> None:
    some = tiny.save_facts(tmp_path / "some.parquet", 7)
    whole = override(tiny.run_config(place, [*SMALL, "probe.n_samples=1"]), [f"work={tmp_path / 'alone'}"])
    expected = measured(whole)
    again = override(whole, [f"work={tmp_path / 'shared'}"])
    measured(override(again, [f"facts.path={some}"]))
    base = opened(again)
    assert n_unanswered(base, base.facts, base.shots, again.probe) == 30 - 7
    assert n_unanswered(open_base(again), base.facts, base.shots, again.probe) == 30, "only a base that looks back"
    found = measured(again)
    assert found.keys() == expected.keys()
    assert len(found) == 4  # under its own prompts and under fresh ones
    for name, table in found.items():
        sure = "answer_logprob"  # the sum of float32 has other last digits where seven facts are asked and not thirty
        if sure in table.columns:
            assert (table[sure] - expected[name][sure]).abs().max() < 1e-5
            table, expected[name] = table.drop(sure), expected[name].drop(sure)
        assert table.equals(expected[name]), name


@pytest.mark.parametrize(
    "other", ["probe.max_new_tokens=5", "probe.n_shots=2", "probe.shots_seed=9", "probe.system=Be brief."]
)
def test_another_prompt_or_setting_finds_nothing(other: str, place: Path, tmp_path: Path) -> None:
    config = override(tiny.run_config(place, SMALL), [f"work={tmp_path}", "probe.noise=false"])
    measured(config)
    base = opened(config)
    assert n_unanswered(base, base.facts, base.shots, config.probe) == 0
    changed = override(config, [other])
    moved = opened(changed)
    assert n_unanswered(moved, moved.facts, moved.shots, changed.probe) == 30


def test_a_fact_with_another_right_answer_is_another_fact(place: Path, tmp_path: Path) -> None:
    """Its question is the same, and its grades are not."""
    config = override(tiny.run_config(place, SMALL), [f"work={tmp_path}", "probe.noise=false"])
    measured(config)
    base = opened(config)
    other = base.facts.with_columns(answers=pl.when(pl.int_range(pl.len()) < 3).then(["Ely"]).otherwise("answers"))
    assert n_unanswered(base, other, base.shots, config.probe) == 3
