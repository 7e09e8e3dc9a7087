"""Where a checkpoint stands in Lightning's loops: after whole steps, whatever moment it was saved.

The order of the data and every random number are functions of the step, so the loops need nothing
else: one epoch without end, `batches` of it done, their last step's validation behind it. What the
file says of the loops beside its step is not read.
"""

from __future__ import annotations

from typing import Any


def after(steps: int, batches: int, trainer: Any, loops_before: Any = None) -> dict[str, Any]:
    """The state of a trainer's loops after so many steps; of those before, how many of its loaders
    keep a state is taken."""
    names = ("fit_loop", "validate_loop", "test_loop", "predict_loop")
    loops = {name: getattr(trainer, name).state_dict() for name in names}
    epoch = {"ready": 1, "started": 1, "processed": 0, "completed": 0}
    # As in the hook after the last batch: Lightning counts that batch as completed when it resumes.
    done = {"ready": batches, "started": batches, "processed": batches, "completed": batches - 1}
    made = {"ready": steps, "completed": steps}
    loops["fit_loop"] |= {
        "epoch_progress": {"total": epoch, "current": dict(epoch)},
        "epoch_loop.batch_progress": both(done) | {"is_last_batch": False},
        "epoch_loop.scheduler_progress": both(made),
        "epoch_loop.automatic_optimization.optim_progress": {
            "optimizer": {"step": both(made), "zero_grad": both(made | {"started": steps})}
        },
        "state_dict": {"combined_loader": [{}] * _stateful(loops_before)},
        "epoch_loop.state_dict": {"_batches_that_stepped": steps - 1},
    }
    return loops


def _stateful(loops: Any) -> int:
    """How many loaders of a checkpoint keep a state: one of ours, none of a plain DataLoader."""
    try:
        return min(len(loops["fit_loop"]["state_dict"]["combined_loader"]), 1)
    except (KeyError, TypeError):
        return 0


def both(counts: dict[str, int]) -> dict[str, Any]:
    """Of all epochs and of the one at hand, which are the same."""
    return {"total": dict(counts), "current": dict(counts)}
