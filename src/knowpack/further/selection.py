"""Questions beside those of the probe: what else may an adapter have changed, or not have learned?

Facts + what was trained -> a Fact table with two columns more: kind, origin (the fact it was made from).
    wording      another wording of a fact that was not trained: is the answer still the same?
    neighbour    another fact about a trained fact's subject, whether it is probed or not
    reversal     a trained fact asked backwards: "Whose capital is Paris?" (Berglund et al. 2024)
    two_hop      a trained fact and one about its object in one question: "What is the currency of the country of Lyon?"
    statement    a trained fact as an unfinished sentence: "The capital of Peru is ..."
    yes_no       a true or a false claim about a trained fact
    behind_text  a trained fact asked behind a paragraph that has nothing to do with it
The last five also with _known: of facts that the base knew, whether it can do that at all.
"""

from collections.abc import Mapping, Sequence

import polars as pl

from knowpack.config import FurtherConfig
from knowpack.further.graph_questions import NO_WORDS, neighbours, reversals, two_hops
from knowpack.further.other_forms import other_forms, wordings
from knowpack.further.pools import Pair, Pools, sample
from knowpack.records import Fact, schema, table

GRAPH = ("reversal", "two_hop")
FORMS = ("statement", "yes_no", "behind_text")


def most_questions(config: FurtherConfig, facts: pl.DataFrame, n_new: int) -> int:
    """How many questions there are at most: facts to be probed (table of Fact), of which n_new are trained on."""
    worded = _worded(facts).drop_nulls(["subject", "relation"]).height
    n_reworded = facts.filter(pl.col("paraphrases").list.len() > 0).height
    n, n_forms = config.n_facts, config.n_forms
    of_new = [n if n_new else 0, *[min(n, n_new, worded)] * len(GRAPH), *[min(n_forms, n_new)] * len(FORMS)]
    of_known = [min(n, n_reworded), *[min(n, worded)] * len(GRAPH), *[min(n_forms, facts.height)] * len(FORMS)]
    return sum(of_new) + sum(of_known)


def further_questions(
    pools: Pools, trained: set[str], config: FurtherConfig, texts: Sequence[str] = (), seed: int = 0
) -> pl.DataFrame:
    """At most config.n_facts (of another form n_forms) questions a kind -> Fact table with `kind` and `origin`.

    trained: ids of all training examples. texts: paragraphs to ask behind.
    """
    n, n_forms = config.n_facts, config.n_forms
    new, known = _worded(pools.new_facts), _worded(pools.known)
    wrong = pl.concat([pools.everything, pools.new_facts, pools.known]).unique("fact_id", maintain_order=True)
    forms = [
        other_forms(sample(facts, n_forms, seed, "other forms"), wrong, texts, seed)
        for facts in (pools.new_facts, pools.known)
    ]
    candidates: dict[str, tuple[Sequence[Pair], int]] = {
        "wording": (list(wordings(sample(pools.untrained, n, seed, "wording"))), n),
        "neighbour": (list(neighbours(pools, trained, n, seed)), n),
        "reversal": (list(reversals(new, pools.everything)), n),
        "two_hop": (list(two_hops(new, pools.everything, trained, seed)), n),
        "reversal_known": (list(reversals(known, pools.everything)), n),
        "two_hop_known": (list(two_hops(known, pools.everything, trained, seed)), n),
        **_counted(forms[0], "", n_forms),
        **_counted(forms[1], "_known", n_forms),
    }
    tables = [_kept(kind, pairs, most, seed) for kind, (pairs, most) in candidates.items()]
    return pl.concat(tables).unique("fact_id", keep="first", maintain_order=True)


def _worded(facts: pl.DataFrame) -> pl.DataFrame:
    """Those whose relations have names in words."""
    return facts.filter(~pl.col("source").is_in(NO_WORDS))


def _counted(forms: Mapping[str, Sequence[Pair]], end: str, n: int) -> dict[str, tuple[Sequence[Pair], int]]:
    return {f"{kind}{end}": (pairs, n) for kind, pairs in forms.items()}


def _kept(kind: str, pairs: Sequence[Pair], n: int, seed: int) -> pl.DataFrame:
    facts = table([fact for fact, _ in pairs], Fact)
    marked = facts.with_columns(kind=pl.lit(kind), origin=pl.Series([origin for _, origin in pairs], dtype=pl.String))
    assert list(schema(Fact)) == facts.columns, "kind and origin come behind the fact's own columns"
    return sample(marked, n, seed, f"{kind} kept")
