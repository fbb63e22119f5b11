"""lm-eval's own command line with the model `knowpack` added: python -m knowpack.bench run --model knowpack ..."""

from lm_eval.__main__ import cli_evaluate

import knowpack.bench.lm  # noqa: F401  # registers the model

if __name__ == "__main__":
    cli_evaluate()
