"""The plan before the work, priced by a timed sample: stages of answers and steps, minutes each."""

from knowpack.forecast.forecast import (
    Forecast,
    Stage,
    asked_again,
    base_stages,
    of_diff,
    of_probe,
    of_run,
    of_study,
)
from knowpack.forecast.timed import Rates, priced_as, sampled_rates

__all__ = [
    "Forecast",
    "Rates",
    "Stage",
    "asked_again",
    "base_stages",
    "of_diff",
    "of_probe",
    "of_run",
    "of_study",
    "priced_as",
    "sampled_rates",
]
