"""What is asked of which model: the sections model, facts, probe, further and bench."""

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from knowpack.settings import Section

Seed = Annotated[int, Field(ge=-(2**63), lt=2**63)]


SERVED = "served:"
"""How the name of a model begins that a server answers for: served:http://host:port/v1#NAME."""


class ServedConfig(Section):
    """How a server is asked; read only where model.name is served:..."""

    by: Literal["auto", "text", "tokens"] = "auto"
    """tokens: prompts as ids (vLLM); text: chat messages (any API). auto: tokens for a vLLM whose tokenizer is here."""
    weights: str | None = None
    """Asked by tokens: a folder or hub name with the served model's tokenizer, and its weights where the server is
    to be compared with them, or they are trained on. None: the folder that the server names, where it is here."""
    concurrency: int = Field(16, ge=1)
    """Requests under way at once."""
    timeout_seconds: float = Field(120.0, gt=0)
    """Of one request."""
    retries: int = Field(4, ge=0)
    """Of a request that failed: no connection, no answer in time, too many requests, an error of the server."""


class ModelConfig(Section):
    """Which model."""

    name: str = "lab"
    """A hub name, a folder, a GGUF file, smollm2, lab, or served:http://host:port/v1#NAME."""
    adapter: str | None = None
    """A PEFT adapter folder or hub name (owner/name, hf://owner/name@revision/folder), merged into the weights; of a
    served model see docs/served.md."""
    revision: str | None = None
    """Of a hub name; of a served model a mark of your own, to tell apart what its server calls by one name."""
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """auto: float32 on a CPU, the checkpoint's own elsewhere. bfloat16 on a CPU where its products are slower than
    float32's: weights rounded to bfloat16, arithmetic in float32 (model/precision.py)."""
    device: str = "auto"
    trust_remote_code: bool = False
    served: ServedConfig = ServedConfig()

    @model_validator(mode="after")
    def _served(self) -> "ModelConfig":
        if self.served != ServedConfig() and not self.name.startswith(SERVED):
            raise ValueError(f"model.served is read of served models only, and the model is {self.name}")
        return self


class FactsConfig(Section):
    """Which facts."""

    path: str = "auto"
    """A fact table (parquet, CSV, JSONL), world, lab; auto: the lab's for the lab, world for every other model."""
    sample: int | None = Field(None, ge=1)
    """Take this many, stratified by relation and popularity; None = all."""
    sample_seed: Seed = 0
    screen: int | None = Field(None, ge=1)
    """Ask so many under the first prompt only, and take the sample from those that are answered right there, or
    refused: no HighlyKnown fact is missed, and no time goes to facts that cannot be lost. None = no such choice."""
    n_unanswered: int = Field(0, ge=0)
    """Beside those take so many of the facts that screen left out, by the same strata: a study trains on them."""

    @model_validator(mode="after")
    def _screened(self) -> "FactsConfig":
        if self.n_unanswered and self.screen is None:
            raise ValueError("facts.n_unanswered counts facts that facts.screen leaves out: set facts.screen too")
        return self


class ProbeConfig(Section):
    """How a model is asked (paper: section 3.1; 10 prompts x 4 shots, greedy, 32 new tokens)."""

    n_prompts: int = Field(10, ge=1)
    n_shots: int = Field(4, ge=0)
    max_new_tokens: int = Field(32, ge=1)
    shots: str = "auto"
    """general, lab, or a table with question and answer(s) columns; auto: the lab's for the lab, else general."""
    shots_seed: Seed = 0
    shots_in_order: bool = False
    """The pool's first rows in order, n_shots a prompt (authors' code: rows 0 to 39); else drawn by shots_seed."""
    shot_answers: Literal["canonical", "normalized_alias"] = "canonical"
    """normalized_alias: the first alias in TriviaQA's normal form (authors' code)."""
    noise: bool = True
    """Ask base and adapter again under fresh prompts, disjoint from the first: the noise floor, and harm net of it."""
    n_floors: int = Field(2, ge=1)
    """Fresh sets of n_prompts prompts. The first asks all facts, the others those with something to lose (known to some
    degree, or refused)."""
    n_samples: int = Field(0, ge=0)
    """Sampled answers a prompt, for SliCK's WeaklyKnown (Gekhman et al. 2024); 0 = none."""
    temperature: float = Field(0.5, gt=0)
    logprob: bool = False
    """Also the log-probability of the canonical answer."""
    n_held_out_forms: int = Field(1, ge=0)
    """Ask this many held-out wordings of the trained facts, from the last: does the fact generalise?"""
    system: str = "Answer the following question."
    chat: bool | None = None
    """None: the chat template where the tokenizer has one."""
    stop: bool = True
    """A plain prompt's answer ends at its line's end or at "Question:"; a chat's ends as its template says."""
    second_bos: bool = False
    """The authors' probe adds special tokens twice (preset authors)."""
    batch_size: int = Field(128, ge=1)
    drafts: bool = True

    @property
    def draw_seed(self) -> int | None:
        """What the shots are drawn by; None = they are not drawn, but taken in order."""
        return None if self.shots_in_order else self.shots_seed

    @model_validator(mode="after")
    def _in_order(self) -> "ProbeConfig":
        if self.shots_in_order and self.shots_seed:
            raise ValueError(f"probe.shots_in_order takes the pool's first rows and reads no {self.shots_seed=}")
        return self


class FurtherConfig(Section):
    """What base and tuned model are asked beside the probe (docs/method.md: Beside the probe)."""

    n_facts: int = Field(100, ge=0)
    """Questions of each kind, at most: other wordings, neighbours of trained facts, reversals, two hops; 0 = none."""
    n_forms: int = Field(30, ge=0)
    """Trained facts, and as many that the base knew, asked in each other form: as an unfinished sentence, as a claim to
    be judged by yes or no, behind an unrelated paragraph of `text`; 0 = none."""
    n_prompts: int = Field(2, ge=1)
    """Under the probe's first prompts."""
    n_distractors: int = Field(8, ge=1)
    """Other answers of its relation that each right answer's likelihood is held against."""
    text: str | None = "auto"
    """Unrelated text whose likelihood is measured: a file, passages parted by blank lines; auto: the package's own;
    None = none."""


class BenchConfig(Section):
    """Benchmarks outside the facts (paper: section 4.3)."""

    tasks: tuple[str, ...] = ()
    """lm-eval's names of tasks, groups and tags: a list, or a text with commas between them."""
    limit: int | None = Field(None, ge=1)
    data: str | None = None
    """A folder made by `knowpack bench prepare`; None = lm-eval's own data."""
    include: str | None = None
    """A folder of lm-eval tasks of one's own (YAML); its content is in a run's hash, not its path."""
    num_fewshot: int | None = Field(None, ge=0)
    """None: 5 for MMLU as in the paper, the task's own elsewhere."""
    apply_chat_template: bool = False
    fewshot_as_multiturn: bool = False
    batch_size: int | None = Field(None, ge=1)
    """Rows of about 32 tokens in one forward. None: 16 on the CPU, more being slower and larger there; else 256."""

    @field_validator("tasks", mode="before")
    @classmethod
    def _with_commas(cls, given: object) -> object:
        if not isinstance(given, str):
            return given
        return tuple(name.strip() for name in given.split(",") if name.strip())
