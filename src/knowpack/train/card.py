"""The adapter's card: README.md with the hub's metadata, what was packed (by hash), what was measured.

base, examples, settings, figures -> README.md beside adapter_model.safetensors. It may be shown to anybody: no fact
stands in it, and no path of this machine.
"""

import hashlib
from collections.abc import Iterable, Mapping
from importlib.metadata import version
from pathlib import Path

import polars as pl
import yaml

from knowpack import store
from knowpack.config import TrainConfig
from knowpack.model import public_name
from knowpack.model.gguf_files import PACKAGED
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
    command: str | None = None,
) -> None:
    """Write (or write again, with figures) the card.

    base: the model as it was named; measured: name -> figure as printed, n and interval in it; command: what makes the
    adapter again.
    """
    hub, licence = public_name.hub_id(base), public_name.licence(base)
    head = {
        **({"base_model": hub} if hub else {}),
        **({"license": licence} if licence else {}),
        "library_name": "peft",
        "pipeline_tag": "text-generation",
        "tags": ["lora", "knowpack", *([f"base_model:adapter:{hub}"] if hub else [])],
    }
    parts = [_what(base, base_hash, hub, licence), _packed(examples), _how(config, seed, command), _measured(measured)]
    store.write_text(
        out / "README.md", "---\n" + yaml.safe_dump(head, sort_keys=False) + "---\n\n" + "\n\n".join(parts)
    )


def figures_by_name(figures: Iterable[Figure], grader: Grader) -> dict[str, str]:
    """The figures that a card tells, under one grader: value, interval (95%) and n."""
    mine = {figure.name: figure for figure in figures if figure.grader == grader}
    return {line: text(mine[name]) for name, line in LINES.items() if name in mine}


def text(value: Figure | Estimate) -> str:
    """A number with its interval and n, as the card prints it."""
    interval = "" if value.low is None or value.high is None else f" [{value.low:.3f}, {value.high:.3f}]"
    return f"{value.value:.3f}{interval}" + ("" if value.n is None else f", n = {value.n:,}")


def packed_hash(examples: pl.DataFrame) -> str:
    """sha256 over the (question, answer) pairs, sorted: the same facts give the same hash in any order."""
    digest = hashlib.sha256()
    for question, answer in sorted(examples.select("question", "answer").iter_rows()):
        digest.update(f"{question}\x1f{answer}\x1e".encode())
    return digest.hexdigest()


def _what(base: str, base_hash: str, hub: str | None, licence: str | None) -> str:
    name = public_name.public(base)
    dequantized = base in PACKAGED or base.lower().endswith(".gguf")
    of = (
        f"They were read from a GGUF file ({base if base in PACKAGED else name}) and dequantized.\n"
        if dequantized
        else ""
    )
    under = f"The base is under {licence}." if licence else "The base's licence was not found beside it."
    loaded = f'AutoModelForCausalLM.from_pretrained("{hub}")' if hub else f"...  # {name}, which is not on the hub"
    return f"""# A LoRA adapter of knowpack on {name}

Facts were packed into it; the base's weights are as they were (hash {base_hash[:16]}).
{of}{under} That of the facts is for whoever gives them away to say.

    from peft import PeftModel
    from transformers import AutoModelForCausalLM
    base = {loaded}
    model = PeftModel.from_pretrained(base, "this folder")"""


def _packed(examples: pl.DataFrame) -> str:
    kinds = examples.group_by("kind").agg(pl.len(), pl.col("fact_id").n_unique()).sort("kind").iter_rows()
    packed = "\n".join(f"- {kind}: {n} examples of {facts} facts" for kind, n, facts in kinds)
    return f"""## What was packed

{packed}
- sha256 of the sorted question-answer pairs: {packed_hash(examples)}"""


def _how(config: TrainConfig, seed: int, command: str | None) -> str:
    settings = config.model_dump(mode="json", exclude={"track"}, exclude_none=True)
    command_block = f"\n\n    {public_name.command(command)}" if command else ""
    return f"""## How

knowpack {version("knowpack")}, seed {seed}.{command_block}

```yaml
{yaml.safe_dump(settings, sort_keys=False).strip()}
```"""


def _measured(measured: Mapping[str, str] | None) -> str:
    figures = "\n".join(f"| {name} | {value} |" for name, value in (measured or {}).items())
    table = (
        f"| figure | value |\n|---|---|\n{figures}"
        if figures
        else "Not measured: `knowpack diff` says what it changed."
    )
    return f"## What was measured\n\n{table}\n"
