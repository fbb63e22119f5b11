"""What a model reads off its prompt: new facts written before the question, and how many are then answered.

    python benchmarks/in_context.py --model smollm2 --facts examples/company.csv [--others 9] [--prompts 5]

Nothing is trained. It is what packing stands beside (the facts in every prompt), and it says how far a model
understands a wording at all: who cannot answer the last wording with the fact before its eyes will hardly answer it
from memory. A line a side: the facts before the question; right in the first wording, and in the last, which `pack`
holds out and its report asks; 95% intervals over relations.
"""

import argparse
import random
from collections.abc import Sequence

import polars as pl

from knowpack.config import ModelConfig, ProbeConfig
from knowpack.decode.decoder import Decoder
from knowpack.facts import sources
from knowpack.measure.stats import share
from knowpack.model.load import load
from knowpack.probe.probe import probe
from knowpack.probe.prompts import Prompter
from knowpack.probe.shots import draw_shots
from knowpack.records import Estimate

SEED = 7
LAST = -1


def behind(facts: pl.DataFrame, n_others: int | None) -> pl.DataFrame:
    """The same facts, each question and wording behind its own fact among n_others; None = nothing before it."""
    if n_others is None:
        return facts
    rows = list(facts.select("question", "answers", "paraphrases").iter_rows(named=True))
    lines = [f"{row['question']} {row['answers'][0]}" for row in rows]
    draw, asked_first, asked_last = random.Random(SEED), [], []
    for row, line in zip(rows, lines, strict=True):
        before = [line, *draw.sample([one for one in lines if one != line], min(n_others, len(lines) - 1))]
        draw.shuffle(before)
        asked_first.append("\n".join([*before, row["question"]]))
        asked_last.append(["\n".join([*before, row["paraphrases"][LAST]])])
    return facts.with_columns(pl.Series("question", asked_first), pl.Series("paraphrases", asked_last))


def right(responses: pl.DataFrame, relations: Sequence[str]) -> Estimate:
    """The mean share of right answers a fact, facts of one relation moving together."""
    of_facts = responses.group_by("fact_id", maintain_order=True).agg(pl.col("matched_default").is_not_null().mean())
    return share(of_facts["matched_default"].to_list(), relations)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="smollm2")
    parser.add_argument("--facts", default="examples/company.csv")
    parser.add_argument("--prompts", type=int, default=5)
    parser.add_argument("--others", type=int, nargs="+", default=[9], help="facts of the same table beside its own")
    args = parser.parse_args()
    loaded = load(ModelConfig(name=args.model))
    facts = sources.load(args.facts).filter(pl.col("paraphrases").list.len() > 0)
    shots = draw_shots(sources.load_shots("general"), args.prompts, 4, SEED, exclude=facts["question"].to_list())
    print(f"{args.model}, {facts.height} facts of {args.facts}, {args.prompts} prompts")
    for n_others in (None, 0, *args.others):
        side = "nothing" if n_others is None else "its fact" + f" and {n_others} others" * bool(n_others)
        before = behind(facts, n_others)
        by_wording = [
            probe(Decoder(loaded), before, shots, Prompter(loaded.tokenizer), ProbeConfig(), forms=(form,)).collect()
            for form in (0, LAST)
        ]
        first, last = (right(responses, facts["relation"].to_list()) for responses in by_wording)
        print(
            f"{side:<22} question {first.value:.3f} [{first.low:.3f}, {first.high:.3f}]   "
            f"last wording {last.value:.3f} [{last.low:.3f}, {last.high:.3f}]",
            flush=True,
        )


if __name__ == "__main__":
    main()
