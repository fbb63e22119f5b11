"""The adapter's card: README.md with the hub's metadata, what was packed (by hash), what was measured.

base, examples, settings, figures -> README.md beside adapter_model.safetensors.
"""

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path

import polars as pl
import yaml

from knowpack import store
from knowpack.config import TrainConfig
from knowpack.records import Estimate, Figure, Grader

LINES = {
    "reliability": "trained facts answered",
    "reliability_held_out": "the same, in wordings never trained on",
    "known_lost_net": "HighlyKnown facts lost, net of noise",
    "known_lost_raw": "HighlyKnown facts lost, raw",
    "known_lost_floor": "HighlyKnown facts lost when only the prompts change (noise floor)",
    "harm_net": "facts not trained that fell a category, net of noise",
    "harm_raw": "facts not trained that fell a category, raw",
    "gain_raw": "facts not trained that rose a category, raw",
    "refusals_kept": "refusals kept, of the facts that the base refused",
    "refusals_lost_net": "refusals lost, net of noise",
    "refused_known": "false refusals of known facts",
}
"""Figure -> its line in the card, in this order."""


def write(
    out: Path,
    base: str,
    base_hash: str,
    examples: pl.DataFrame,
    config: TrainConfig,
    seed: int,
    measured: Mapping[str, str] | None = None,
) -> None:
    """Write (or write again, with figures) the card. measured: name -> figure as printed, n and interval in it."""
    head = {
        "base_model": base,
        "library_name": "peft",
        "pipeline_tag": "text-generation",
        "tags": ["lora", "knowpack", f"base_model:adapter:{base}"],
    }
    text = (
        "---\n"
        + yaml.safe_dump(head, sort_keys=False)
        + "---\n\n"
        + _body(base, base_hash, examples, config, seed, measured)
    )
    store.write_text(out / "README.md", text)


def printed(figures: Iterable[Figure], grader: Grader) -> dict[str, str]:
    """The figures that a card tells, under one grader: value, interval (95%) and n."""
    mine = {figure.name: figure for figure in figures if figure.grader == grader}
    return {line: text(mine[name]) for name, line in LINES.items() if name in mine}


def text(found: Figure | Estimate) -> str:
    """A number with its interval and n, as the card prints it."""
    interval = "" if found.low is None or found.high is None else f" [{found.low:.3f}, {found.high:.3f}]"
    return f"{found.value:.3f}{interval}" + ("" if found.n is None else f", n = {found.n:,}")


def packed_hash(examples: pl.DataFrame) -> str:
    """sha256 over the (question, answer) pairs, sorted: the same facts give the same hash in any order."""
    digest = hashlib.sha256()
    for question, answer in sorted(examples.select("question", "answer").iter_rows()):
        digest.update(f"{question}\x1f{answer}\x1e".encode())
    return digest.hexdigest()


def _body(
    base: str,
    base_hash: str,
    examples: pl.DataFrame,
    config: TrainConfig,
    seed: int,
    measured: Mapping[str, str] | None,
) -> str:
    kinds = examples.group_by("kind").agg(pl.len(), pl.col("fact_id").n_unique()).sort("kind").iter_rows()
    packed = "\n".join(f"- {kind}: {n} examples of {facts} facts" for kind, n, facts in kinds)
    settings = config.model_dump(mode="json", exclude={"track"}, exclude_none=True)
    figures = "\n".join(f"| {name} | {value} |" for name, value in (measured or {}).items())
    table = (
        f"| figure | value |\n|---|---|\n{figures}"
        if figures
        else "Not measured: `knowpack diff` says what it changed."
    )
    return f"""# A LoRA adapter of knowpack on {base}

Facts were packed into it; the base's weights are as they were (hash {base_hash[:16]}).

    from peft import PeftModel
    model = PeftModel.from_pretrained(base, "this folder")

## What was packed

{packed}
- sha256 of the sorted question-answer pairs: {packed_hash(examples)}

## How

Seed {seed}.

```yaml
{yaml.safe_dump(settings, sort_keys=False).strip()}
```

## What was measured

{table}
"""
