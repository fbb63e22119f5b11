"""What a run is: frozen sections, and what of them changes a result.

settings.py reads them from YAML and dotted overrides. `fingerprint` leaves out what changes no
result (device, batch size, paths). Defaults are what we stand behind; `preset: paper` and `preset: authors` on a run
or a study set what the paper's text says or its authors' code does (presets/).
"""

import re
from collections.abc import Mapping
from typing import Annotated, Literal, NamedTuple

from pydantic import Discriminator, Field, Tag, field_validator, model_validator

from knowpack import presets
from knowpack.settings import KIND, changed
from knowpack.settings import Section as Section

Preset = Literal["paper", "authors"]
Seed = Annotated[int, Field(ge=-(2**63), lt=2**63)]
_FOLDER = re.compile(r"\w[\w .+,()=@#-]{0,99}")


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
    """A hub name, a folder, a GGUF file, lab, or served:http://host:port/v1#NAME."""
    adapter: str | None = None
    """A PEFT adapter folder or hub name, merged into the weights; of a served model see docs/served.md."""
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
    """Paper preset: the authors' probe adds special tokens twice."""
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
    """Paper preset: always the first n rows; the seed never varies the facts."""
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


class BenchConfig(Section):
    """Benchmarks outside the facts (paper: section 4.3)."""

    tasks: tuple[str, ...] = ()
    limit: int | None = Field(None, ge=1)
    data: str | None = None
    """A folder made by `knowpack bench prepare`; None = lm-eval's own data."""
    include: str | None = None
    """A folder of lm-eval tasks of one's own (YAML); named by path in a run's hash, by content in what is kept."""
    num_fewshot: int | None = Field(None, ge=0)
    """None: 5 for MMLU as in the paper, the task's own elsewhere."""
    apply_chat_template: bool = False
    fewshot_as_multiturn: bool = False
    batch_size: int | None = Field(None, ge=1)
    """Rows of about 32 tokens in one forward. None: 16 on the CPU, more being slower and larger there; else 256."""


class FurtherConfig(Section):
    """What base and tuned model are asked beside the probe (docs/method.md: Beside the probe)."""

    n_facts: int = Field(100, ge=0)
    """Questions of each kind, at most: other wordings, neighbours of trained facts, reversals, two hops; 0 = none."""
    n_prompts: int = Field(2, ge=1)
    """Under the probe's first prompts."""
    n_distractors: int = Field(8, ge=1)
    """Other answers of its relation that each right answer's likelihood is held against."""
    text: str | None = "auto"
    """Unrelated text whose likelihood is measured: a file, passages parted by blank lines; auto: the package's own;
    None = none."""


class RunConfig(Section):
    """One cell: everything that one run does."""

    label: str = "run"
    preset: Preset | None = None
    """Sets what is not set beside it: paper, what the paper's text says; authors, what its authors' code does."""
    seed: Seed = 42
    grader: Literal["default", "paper"] = "default"
    """Which grader decides the mix; both are always stored."""
    model: ModelConfig = ModelConfig()
    facts: FactsConfig = FactsConfig()
    probe: ProbeConfig = ProbeConfig()
    mix: MixConfig = MixConfig()
    train: Recipe = PlainRecipe()
    bench: BenchConfig = BenchConfig()
    further: FurtherConfig = FurtherConfig()
    work: str = "work"

    @model_validator(mode="before")
    @classmethod
    def _preset(cls, data: object) -> object:
        return presets.beneath(data) if isinstance(data, Mapping) else data

    @classmethod
    def spelled_out(cls, settings: Mapping[str, object]) -> dict[str, object]:
        """A preset among dotted settings sets all that it stands for but what is set beside it."""
        name = settings.get("preset")
        return {**(presets.dotted(str(name)) if name is not None else {}), **settings}

    @model_validator(mode="after")
    def _held_out(self) -> "RunConfig":
        if self.probe.n_held_out_forms > self.mix.held_out_wordings:
            raise ValueError(
                f"probe.n_held_out_forms={self.probe.n_held_out_forms} asks for wordings that "
                f"mix.held_out_wordings={self.mix.held_out_wordings} lets into training"
            )
        return self


class GridCell(NamedTuple):
    """One run of a grid."""

    run: RunConfig
    sham: RunConfig | None
    """The same training on facts that were HighlyKnown already; None = not asked."""


class SlurmConfig(Section):
    """How submitit asks for workers (`knowpack study --executor submitit`); no result depends on it."""

    cluster: Literal["slurm", "local", "debug"] | None = None
    """None: slurm where there is `srun`, else local, processes of this machine."""
    parameters: dict[str, str | int | float | bool | list[str]] = Field({})
    """What one worker gets, under the names of submitit's AutoExecutor: timeout_min, gpus_per_node, cpus_per_task,
    mem_gb; those of SLURM alone with `slurm_` before them: slurm_partition, slurm_account, slurm_qos, slurm_setup."""


class RayConfig(Section):
    """How Ray places workers (`knowpack study --executor ray`); no result depends on it."""

    address: str | None = None
    """Of a running cluster (`auto`, `host:port`, `ray://...`); None: RAY_ADDRESS, else one on this machine."""
    num_cpus: float = Field(1, ge=0)
    """Of one worker, as threads too."""
    num_gpus: float | None = Field(None, ge=0)
    """Of one worker; None: one where the cluster has any."""


class StudyConfig(Section):
    """A grid of runs: the base run, the cells (dotted settings that differ) and the seeds."""

    name: str = "study"
    preset: Preset | None = None
    """The base run's preset, and the seeds of its source."""
    seeds: tuple[Seed, ...] = (42,)
    sham: bool = False
    """Beside each cell a sham: the same training on facts that were HighlyKnown. A cell's own `sham` comes first."""
    base: RunConfig = RunConfig()
    cells: tuple[dict[str, str | int | float | bool | None], ...] = ()
    """Each a label and the dotted settings of the run it changes: {label: "50+10 HK", mix.n_unknown: 50, ...}."""
    slurm: SlurmConfig = SlurmConfig()
    ray: RayConfig = RayConfig()

    @model_validator(mode="before")
    @classmethod
    def _preset(cls, data: object) -> object:
        if not isinstance(data, Mapping) or data.get("preset") is None:
            return data
        base, name = data.get("base", {}), data["preset"]
        below = {"preset": name, **base} if isinstance(base, Mapping) else base
        return {"seeds": presets.named(str(name)).seeds, **data, "base": below}

    @classmethod
    def spelled_out(cls, settings: Mapping[str, object]) -> dict[str, object]:
        """A preset, of the study or of its base, sets all that it stands for but what is set beside it."""
        found: dict[str, object] = {}
        if (name := settings.get("preset")) is not None:
            found = {"seeds": list(presets.named(str(name)).seeds), **presets.dotted(str(name), "base.")}
        if (name := settings.get("base.preset")) is not None:
            found |= presets.dotted(str(name), "base.")
        return {**found, **settings}

    @field_validator("name")
    @classmethod
    def _one_folder(cls, name: str) -> str:
        if not _FOLDER.fullmatch(name) or name.endswith((".", " ")):
            raise ValueError("a study's name is that of its folder: up to 100 letters, digits, spaces and -_.+,()=@#")
        return name

    @model_validator(mode="after")
    def _cells(self) -> "StudyConfig":
        labels = [str(cell.get("label", "")) for cell in self.cells]
        if "" in labels or len(set(labels)) != len(labels):
            raise ValueError(f"every cell needs a label of its own; got {labels}")
        return self

    def grid(self) -> list[GridCell]:
        """The runs of the grid, cells in order, seeds within a cell, each with its sham where one is asked."""
        found = []
        for cell in self.cells:
            settings = {key: value for key, value in cell.items() if key != "sham"}
            for seed in self.seeds:
                run = changed(self.base, {**settings, "seed": seed})
                wanted = cell.get("sham", self.sham) and not run.mix.sham
                found.append(GridCell(run, _sham_of(run) if wanted else None))
        return found

    def runs(self) -> list[RunConfig]:
        """All runs, a sham before the run that it stands beside."""
        return [run for cell in self.grid() for run in (cell.sham, cell.run) if run is not None]


def _sham_of(run: RunConfig) -> RunConfig:
    mix = run.mix.model_copy(update={"sham": True})
    return run.model_copy(update={"label": f"sham of {run.label}", "mix": mix})


NOT_A_RESULT = {
    "model": {"device", "adapter", "served"},
    "probe": {"batch_size", "drafts"},
    "bench": {"batch_size", "data"},
    "train": {"track", "checkpoint_seconds"},
}


def fingerprint(config: RunConfig, *names: str) -> dict[str, object]:
    """What changes a result, of the named sections, as plain JSON; for `store.hash_of`."""
    plain = config.model_dump(mode="json", include=set(names))
    for section, left_out in NOT_A_RESULT.items():
        if isinstance(plain.get(section), dict):
            plain[section] = {key: value for key, value in plain[section].items() if key not in left_out}
    return plain
