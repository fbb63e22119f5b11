"""The model that an adapter goes on on, looked at before anything is asked: is it the adapter's own base, and has the
adapter the shape that the recipe trains?

`Request` + `Changes` -> whoever answers, opened where that takes the weights. A wrong base, rank, scale or choice of
layers is one line, and no minutes.
"""

from knowpack.config import KeepRecipe
from knowpack.decode.transformers_asker import weights_of
from knowpack.pack.changes import Changes
from knowpack.pack.earlier_adapter import check_base, shaped
from knowpack.pack.request import Request
from knowpack.probe.askers import Asker
from knowpack.progress import SILENT, Progress
from knowpack.served.opening import open_asker
from knowpack.train import lora, target_modules


def open_model(request: Request, changes: Changes, asker: Asker | None, progress: Progress = SILENT) -> Asker | None:
    """The model, as it was given or loaded here; untouched where no adapter is gone on from. Raises ModelError."""
    onto = changes.onto
    if onto is None:
        return asker
    if asker is None:
        with progress.stage(f"loading {request.model.name}", None):
            asker = open_asker(request.model, request.probe.batch_size)
    loaded = weights_of(asker, "training")
    check_base(onto, loaded)
    n_layers = target_modules.depth(loaded.model)
    recipe = request.train or shaped(KeepRecipe(), onto, n_layers)
    with lora.adapted(loaded.model, recipe, request.seed, onto.folder):
        pass  # it can be put on as training will put it on
    return asker
