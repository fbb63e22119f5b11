"""The plan before the work, priced by a timed sample: stages of answers and steps, minutes each."""

from knowpack.forecast.forecast import (
    Forecast,
    Stage,
    base_stages,
    of_diff,
    of_probe,
    of_run,
    of_study,
    tuned_stages,
)
from knowpack.forecast.timed import Rates, priced_as, sampled_rates

__all__ = [
    "Forecast",
    "Rates",
    "Stage",
    "base_stages",
    "of_diff",
    "of_probe",
    "of_run",
    "of_study",
    "priced_as",
    "sampled_rates",
    "tuned_stages",
]
