"""What a script or a notebook calls: pack, diff, probe, study -> a Result that shows itself.

`import knowpack as kp; kp.pack("facts.csv", model="smollm2")` is `knowpack.api.pack(...)`.
"""

from knowpack.api.calls import diff, pack, probe, study
from knowpack.api.result import ProbeResult, Result

__all__ = ["ProbeResult", "Result", "diff", "pack", "probe", "study"]
