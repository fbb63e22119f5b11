"""The errors a user can cause, each one clear line; anything else is a bug and keeps its traceback.

KnowpackError            exit code 2
├── ConfigError          an unknown key, a value out of range, settings that exclude each other
├── FactsError           a fact file that cannot be read, or facts that cannot be used
├── ModelError           a model, tokenizer or adapter that cannot be loaded or does not fit
├── StoreError           the work directory: full disk, truncated table, unwritable folder
│   └── LockedError      another process works in the same folder
├── WorkerError          the workers of a study: one that could not go on, all of them lost
├── BenchError           an unknown task, missing benchmark data
└── BudgetError          exit code 3: a harm budget that could not be met
"""


class KnowpackError(Exception):
    """A user's mistake: what was got, what was expected, what to do. One line."""

    exit_code = 2


class ConfigError(KnowpackError):
    """A setting that does not exist, is out of range, or excludes another."""


class FactsError(KnowpackError):
    """A fact file that cannot be read, or facts that cannot be used."""


class ModelError(KnowpackError):
    """A model, tokenizer or adapter that cannot be loaded, or does not fit."""


class StoreError(KnowpackError):
    """The work directory: a full disk, a truncated table, a folder that cannot be written."""


class LockedError(StoreError):
    """Another process works in the same folder."""


class WorkerError(KnowpackError):
    """A worker of a study that could not go on, or workers that were lost without finishing a cell."""


class BenchError(KnowpackError):
    """An unknown benchmark task, or benchmark data that are missing."""


class BudgetError(KnowpackError):
    """A harm budget that could not be met; the best adapter found is on disk."""

    exit_code = 3


class StoppedError(Exception):
    """The user pressed Ctrl-C. No mistake: what was done is kept."""

    exit_code = 130  # 128 + SIGINT

    def __str__(self) -> str:
        return "stopped; the same command goes on where it was"


def one_line(error: BaseException) -> str:
    """An error of a library, as one line."""
    return " ".join(str(error).split())[:300] or type(error).__name__
