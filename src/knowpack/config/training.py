"""What is trained on, and how: the sections mix and train, the latter by one of two recipes."""

from typing import Annotated, Literal

from pydantic import Discriminator, Field, Tag

from knowpack.config.evaluation import Seed
from knowpack.settings import KIND, Section


class MixConfig(Section):
    """What is trained on (paper: section 4.1)."""

    n_unknown: int = Field(50, ge=0)
    n_highly_known: int = Field(0, ge=0)
    """HighlyKnown facts for each Unknown fact."""
    n_paraphrase: int = Field(0, ge=0)
    """Paraphrases of each Unknown fact's question."""
    extra_from: Literal["anywhere", "same_relation", "same_domain", "same_range"] = "anywhere"
    extra_facts: str | None = None
    """Take the HighlyKnown facts from this fact table instead."""
    cap_extra: bool = False
    """Where there are fewer HighlyKnown facts than n x k, take all there are (authors' code); else it is an error."""
    held_out_wordings: int = Field(2, ge=0)
    """The last wordings of each fact's list, never trained on."""
    first_rows: bool = False
    """Always the first n rows, the seed never varies the facts (preset authors)."""
    n_subjects: int | None = Field(None, ge=1)
    """Take the Unknown facts of this many subjects only, those with the most of them; None = of all."""
    n_answers: int | None = Field(None, ge=1)
    """Take the Unknown facts with this many different answers only, the most frequent ones; None = all."""
    zipf: float | None = Field(None, ge=0)
    """The r-th most frequent answer (subject, where only n_subjects is set) gets a share in proportion to r^-zipf of
    the Unknown facts, as far as there are facts; 0 = equal shares; None = as they come."""
    sham: bool = False
    """Train on HighlyKnown facts in place of Unknown ones: the sham adapter."""


class TrainConfig(Section):
    """How an adapter is trained, whatever the recipe (paper: section 4.2)."""

    rank: int = Field(1, ge=1)
    alpha: float = Field(2.0, gt=0)
    rslora: bool = False
    dropout: float = Field(0.0, ge=0, lt=1)
    target_modules: tuple[str, ...] = ("auto",)
    """auto: the MLP's layers (down, gate and up_proj in a Llama)."""
    from_layer: float = Field(0.0, ge=0, lt=1)
    """Share of the model's depth where adapters begin: 0 all layers, 0.5 the upper half."""
    lr: float = Field(1e-3, gt=0, allow_inf_nan=False)
    warmup_ratio: float = Field(0.0, ge=0, lt=1)
    batch_size: int = Field(16, ge=1)
    weight_decay: float = Field(0.0, ge=0)
    max_grad_norm: float = Field(1.0, gt=0)
    init_seed: Seed | None = None
    """Seed of the adapter's first weights; None = the run's. (Authors' code: the run's seed does not reach them.)"""
    checkpoint_seconds: float = Field(120.0, ge=0)
    """Training that is killed goes on from a state that is at most this old; 0 = one each step."""
    track: Literal["none", "tensorboard", "wandb", "trackio"] = "none"


class PlainRecipe(TrainConfig):
    """Epochs over the examples, as the paper and everybody trains."""

    recipe: Literal["plain"] = "plain"
    epochs: int = Field(10, ge=1)
    schedule: Literal["linear", "cosine", "constant"] = "linear"
    loss: Literal["answer", "all"] = "answer"
    group_by_length: bool = False
    """Examples of about one length in a batch, as transformers' Trainer groups them (authors' code)."""
    checkpoint_each_epoch: bool = False
    """Keep the adapter of each epoch and measure its reliability (the paper's Figure 2)."""


class KeepRecipe(TrainConfig):
    """Staying close to the base while facts go in: pack's recipe for 50 facts, each part a switch."""

    recipe: Literal["keep"] = "keep"
    rank: int = Field(64, ge=1)
    alpha: float = Field(64.0, gt=0)
    from_layer: float = Field(0.75, ge=0, lt=1)
    """The last quarter of the layers: cheaper, and less is lost than in all (docs/LOG.md)."""
    lr: float = Field(3e-3, gt=0, allow_inf_nan=False)
    first_move: float | None = Field(None, gt=0, allow_inf_nan=False)
    """Lower lr until one step at it moves the answers to replay prompts by this much KL, nats (train/rate.py)."""
    warmup_ratio: float = Field(0.05, ge=0, lt=1)
    batch_size: int = Field(32, ge=1)
    """New facts in a batch; replay_batch stands beside them."""
    weight_decay: float = Field(0.01, ge=0)
    kl_weight: float = Field(64.0, ge=0)
    """Weight of KL(base || adapted) over the base's answers to the replay prompts; 0 = no replay."""
    n_replay: int = Field(5000, ge=0)
    """Replay prompts from facts: same relation, same range, unrelated, a third each where there are enough."""
    n_made_up: int = Field(1500, ge=0)
    """Replay prompts about names that do not exist, put together from those of the facts: refusals stay."""
    n_other_forms: int = Field(0, ge=0)
    """Replay prompts that are claims to be judged (true or false, yes or no) and unfinished sentences."""
    short_forms: bool = False
    """Train the new facts as unfinished sentences and as key words too, made of their trained wordings."""
    no_replay_relations: float = Field(0.0, ge=0, lt=1)
    """Share of the relations that no replay prompt is about, drawn by seed: what is lost of them is reported apart."""
    no_replay_subjects: float = Field(0.0, ge=0, lt=1)
    """The same of the subjects."""
    n_texts: int = Field(200, ge=0)
    """Texts of 48 tokens that the base writes by itself, held as the answers are."""
    n_contexts: int = Field(8, ge=0, le=10)
    """Few-shot contexts that facts and replay prompts are trained under, beside the bare question."""
    n_shots: int = Field(4, ge=1)
    """Shots of each context; they are none of the probe's."""
    by_question: float = Field(0.5, ge=0, le=1)
    """Share of the new rows that are the question itself, which replay prompts are most like; the rest any wording."""
    replay_batch: int = Field(128, ge=1)
    """Replay prompts beside each batch of new facts."""
    answer_tokens: int = Field(4, ge=1)
    """Tokens of the base's answer to a replay prompt that are held, and the place after them."""
    by_interference: float = Field(0.5, ge=0, le=1)
    """Share of a replay batch drawn in proportion to how far each prompt's answer had moved when it was last drawn."""
    top_k: int = Field(64, ge=0)
    """Tokens of the base's distribution that are kept, the rest as one; 0 = all."""
    retire: bool = True
    """A certain fact leaves the batches, and comes back when it is lost."""
    bound: float = Field(0.9, gt=0, lt=1)
    """Certain: the least probable token of the answer is above this, twice, in a trained wording and another."""
    check_every: int = Field(10, ge=1)
    """Steps between the checks of all facts."""
    max_steps: int = Field(200, ge=1)
    """Steps at the full learning rate, at most: fewer where all facts are certain before."""
    tail_steps: int = Field(250, ge=0)
    """Steps at the end, the learning rate falling to 0, in which most facts are settled."""

    @property
    def n_base_answers(self) -> int:
        """Replay prompts and texts, at most: what the base is asked before it is trained."""
        return self.n_replay + self.n_made_up + self.n_other_forms + self.n_texts


def _recipe_of(value: object) -> object:
    return value.get(KIND, "plain") if isinstance(value, dict) else getattr(value, KIND, None)


Recipe = Annotated[
    Annotated[PlainRecipe, Tag("plain")] | Annotated[KeepRecipe, Tag("keep")],
    Discriminator(
        _recipe_of,
        custom_error_type="recipe",
        custom_error_message="train.recipe is plain or keep",
    ),
]
"""One of the recipes; a setting of the other is refused."""
