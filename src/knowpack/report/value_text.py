"""Values of a table for reading: rounded, with interval and n."""

from knowpack.records import Estimate
from knowpack.report.report_data import P, Value

LEAST_P = 0.001


def text(value: Value) -> str:
    """A value for reading: rounded, with its interval; an en dash where nothing was measured."""
    if value is None:
        return "–"
    if isinstance(value, P) and value < LEAST_P:
        return f"<{LEAST_P}"
    if isinstance(value, Estimate):
        n = "" if value.n is None else f" n={value.n:,}"
        if value.low is None or value.high is None:
            return _number(value.value) + (n if value.unit == "share" else "")
        return f"{_number(value.value)} [{_number(value.low)}, {_number(value.high)}]{n}"
    return value if isinstance(value, str) else _number(value)


def _number(value: float) -> str:
    if abs(value) < 0.0005 and not isinstance(value, int):
        value = 0.0  # dust of floats (2.8e-17) and -0.0002 are printed as 0.000
    if isinstance(value, int) or (float(value).is_integer() and abs(value) >= 2):
        return f"{int(value):,}"
    if abs(value) >= 10:
        return f"{value:,.1f}"
    return f"{value:.3f}"
