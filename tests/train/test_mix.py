"""What is trained on: nested sets, extras of a kind, held-out wordings, and shortages with their numbers."""

import polars as pl
import pytest

from knowpack import records
from knowpack.config import MixConfig
from knowpack.errors import ConfigError, FactsError
from knowpack.records import Example, Fact, Kind, Knowledge
from knowpack.train import mix as stage


def fact(name: str, relation: str = "r0", domain: str | None = "D", kinds: str | None = "R", n: int = 4) -> Fact:
    wordings = tuple(f"{name} wording {k}" for k in range(1, n + 1))
    return Fact(name, f"{name}?", (f"{name}!", "alias"), wordings, "s", relation, "o", domain, kinds)


def world(n_unknown: int = 60, n_highly: int = 200) -> pl.DataFrame:
    """u0, u1, ... are Unknown, h0, h1, ... HighlyKnown; relations r0..r3 in turn; domain and range by relation."""
    names = [f"u{i}" for i in range(n_unknown)] + [f"h{i}" for i in range(n_highly)]
    return records.table(
        [fact(n, f"r{int(n[1:]) % 4}", f"D{int(n[1:]) % 2}", f"R{int(n[1:]) % 4}") for n in names], Fact
    )


def known(facts: pl.DataFrame) -> pl.DataFrame:
    category = {"u": "Unknown", "h": "HighlyKnown", "m": "MaybeKnown", "w": "WeaklyKnown"}
    rows = [
        Knowledge(f, grader, 10, 0.0, category[f[0]], "", 0.0)
        for grader in ("default", "paper")
        for f in facts["fact_id"]
    ]
    return records.table(rows, Knowledge)


def ids(examples: pl.DataFrame, kind: Kind) -> list[str]:
    return examples.filter(pl.col("kind") == str(kind))["fact_id"].to_list()


def made(
    seed: int = 42, facts: pl.DataFrame | None = None, extra: pl.DataFrame | None = None, **settings
) -> pl.DataFrame:
    table = world() if facts is None else facts
    return stage.mix(table, known(table), MixConfig(**settings), seed, extra=extra)


def test_ten_and_ten_each_are_110_examples() -> None:
    found = made(n_unknown=10, n_highly_known=10)  # the paper's own count, section 4.1
    assert found.height == 110
    assert found.schema == records.schema(Example)
    assert all(f.startswith("u") for f in ids(found, Kind.UNKNOWN))
    assert all(f.startswith("h") for f in ids(found, Kind.HIGHLY_KNOWN))
    assert found["fact_id"].n_unique() == 110


def test_the_first_ten_of_the_fifty_are_the_ten() -> None:
    assert ids(made(n_unknown=50), Kind.UNKNOWN)[:10] == ids(made(n_unknown=10), Kind.UNKNOWN)


@pytest.mark.parametrize("extra_from", ["anywhere", "same_relation", "same_domain", "same_range"])
def test_extras_nest_in_n_and_in_k(extra_from: str) -> None:
    sets = {
        (n, k): set(ids(made(n_unknown=n, n_highly_known=k, extra_from=extra_from), Kind.HIGHLY_KNOWN))
        for n in (3, 12)
        for k in (1, 4)
    }
    assert {size: len(found) for size, found in sets.items()} == {(3, 1): 3, (3, 4): 12, (12, 1): 12, (12, 4): 48}
    assert sets[3, 1] <= sets[3, 4] <= sets[12, 4]
    assert sets[3, 1] <= sets[12, 1] <= sets[12, 4]


def test_seeds_vary_the_facts_and_the_order_of_the_table_does_not() -> None:
    one = ids(made(1, n_unknown=10), Kind.UNKNOWN)
    assert one != ids(made(2, n_unknown=10), Kind.UNKNOWN)
    assert one == ids(made(1, facts=world().reverse(), n_unknown=10), Kind.UNKNOWN)


def test_first_rows_is_the_head_of_the_filtered_table_for_every_seed() -> None:
    for seed in (42, 1337):
        found = made(seed, n_unknown=3, n_highly_known=1, first_rows=True)
        assert ids(found, Kind.UNKNOWN) == ["u0", "u1", "u2"]
        assert ids(found, Kind.HIGHLY_KNOWN) == ["h0", "h1", "h2"]


@pytest.mark.parametrize(
    ("extra_from", "column"), [("same_relation", "relation"), ("same_domain", "domain"), ("same_range", "range")]
)
def test_extras_are_of_the_same_kind_as_many_times_as_the_unknown(extra_from: str, column: str) -> None:
    facts = world()
    found = made(facts=facts, n_unknown=10, n_highly_known=3, extra_from=extra_from)
    counts = found.join(facts, on="fact_id").group_by("kind", column).len().sort(column)
    unknown = dict(counts.filter(pl.col("kind") == "unknown").select(column, "len").iter_rows())
    extras = dict(counts.filter(pl.col("kind") == "highly_known").select(column, "len").iter_rows())
    assert extras == {name: 3 * n for name, n in unknown.items()}


def test_paraphrases_never_touch_the_held_out_wordings_and_nest() -> None:
    found = made(n_unknown=2, n_paraphrase=2, held_out_wordings=2)
    names = ids(found, Kind.UNKNOWN)
    assert found["question"].to_list() == [
        text for name in names for text in (f"{name}?", f"{name} wording 1", f"{name} wording 2")
    ]
    assert set(found["answer"]) == {f"{name}!" for name in names}  # canonical, never an alias
    one = made(n_unknown=2, n_paraphrase=1, held_out_wordings=2)
    assert set(one["example_id"]) < set(found["example_id"])


def test_usable_wordings_are_all_but_the_last() -> None:
    facts = records.table([fact("a", n=3), fact("b", n=2), fact("c", n=0)], Fact)
    assert stage.paraphrases(facts, 2).rows() == [("a", 1, "a wording 1")]
    assert stage.paraphrases(facts, 0).height == 5


def test_too_few_wordings_says_how_many() -> None:
    with pytest.raises(FactsError, match=r"needs 3 wordings .* last 2, .* 5 of 5 facts have fewer \(u\d+ has 2\)"):
        made(n_unknown=5, n_paraphrase=3, held_out_wordings=2)


def test_too_few_unknown_says_how_many() -> None:
    with pytest.raises(FactsError, match=r"n_unknown=61 .* Unknown .* 60 of 260"):
        made(n_unknown=61)


def test_too_few_highly_known_says_how_many() -> None:
    with pytest.raises(FactsError, match="needs 210 HighlyKnown facts, there are 200"):
        made(n_unknown=21, n_highly_known=10)


def test_a_short_group_is_named() -> None:
    facts = records.table([fact("u0", "rare"), fact("h0", "rare"), fact("h1", "common")], Fact)
    with pytest.raises(FactsError, match="needs 2 HighlyKnown facts of relation 'rare', there are 1"):
        made(facts=facts, n_unknown=1, n_highly_known=2, extra_from="same_relation")


def test_an_unknown_without_a_domain_cannot_have_extras_of_its_domain() -> None:
    facts = records.table([fact("u0", domain=None), fact("h0", domain=None)], Fact)
    with pytest.raises(FactsError, match="facts without a domain"):
        made(facts=facts, n_unknown=1, n_highly_known=1, extra_from="same_domain")


def test_extra_file_gives_the_highly_known_and_its_probed_unknown_are_left_out() -> None:
    facts = world(5, 0)
    extra = records.table([fact("x1"), fact("x2"), fact("h9"), fact("u9")], Fact)
    knowledge = pl.concat([known(facts), known(extra.filter(pl.col("fact_id").is_in(["h9", "u9"])))])
    found = stage.mix(facts, knowledge, MixConfig(n_unknown=3, n_highly_known=1), 1, extra=extra)
    assert set(ids(found, Kind.HIGHLY_KNOWN)) == {"x1", "x2", "h9"}


def test_sham_trains_on_what_is_highly_known_and_takes_nothing_twice() -> None:
    found = made(n_unknown=50, n_highly_known=2, sham=True)
    assert found.height == 150
    assert all(f.startswith("h") for f in found["fact_id"])
    assert found["fact_id"].n_unique() == 150
    assert set(found["kind"]) == {"highly_known"}


def test_weakly_known_is_not_unknown() -> None:
    facts = records.table([fact("u0"), fact("w0"), fact("m0")], Fact)
    assert made(facts=facts, n_unknown=1)["fact_id"].to_list() == ["u0"]
    with pytest.raises(FactsError, match="1 of 3"):
        made(facts=facts, n_unknown=2)


def test_the_named_grader_decides() -> None:
    facts = world(3, 3)
    knowledge = known(facts).filter(pl.col("grader") == "paper")
    assert stage.mix(facts, knowledge, MixConfig(n_unknown=3), 1, "paper").height == 3
    with pytest.raises(FactsError, match="default grader"):
        stage.mix(facts, knowledge, MixConfig(n_unknown=3), 1)


def test_nothing_to_train_on_is_an_error() -> None:
    with pytest.raises(ConfigError, match="n_unknown is 0"):
        made(n_unknown=0)


def test_example_ids_are_stable_and_all_different() -> None:
    one, two = (made(n_unknown=10, n_highly_known=2, n_paraphrase=2) for _ in range(2))
    assert one.equals(two)
    assert one["example_id"].n_unique() == one.height == 50


def test_messages_are_the_turns_of_the_probe() -> None:
    examples = records.table([Example("e", "f", "unknown", "Who?", "Ada")], Example)
    assert stage.to_messages(examples) == [
        {
            "messages": [
                {"role": "system", "content": "Answer the following question."},
                {"role": "user", "content": "Question: Who?"},
                {"role": "assistant", "content": "Answer: Ada"},
            ]
        }
    ]
    assert [turn["role"] for turn in stage.to_messages(examples, system="")[0]["messages"]] == ["user", "assistant"]


def test_capped_extras_are_all_that_there_are() -> None:
    facts = world(60, 30)
    found = made(facts=facts, n_unknown=40, n_highly_known=1, cap_extra=True)
    assert sorted(ids(found, Kind.HIGHLY_KNOWN)) == sorted(f for f in facts["fact_id"] if f.startswith("h"))
    groups = records.table([fact("u0", "rare"), fact("u1", "common"), fact("h0", "rare"), fact("h1", "none")], Fact)
    near = made(facts=groups, n_unknown=2, n_highly_known=2, extra_from="same_relation", cap_extra=True)
    assert ids(near, Kind.HIGHLY_KNOWN) == ["h0"]
