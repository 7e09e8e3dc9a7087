"""Where a checkpoint stands in Lightning's loops: after whole steps, whatever moment it was saved.

The order of the data and every random number are functions of the step, so the loops need nothing
else: one epoch without end, `batches` of it done, their last step's validation behind it.
"""

from __future__ import annotations

from typing import Any


def after(steps: int, batches: int, loops: dict[str, Any]) -> dict[str, Any]:
    """The state of the loops after so many steps, on top of the optimiser's own counts."""
    fit = loops["fit_loop"]
    epoch = {"ready": 1, "started": 1, "processed": 0, "completed": 0}
    # As in the hook after the last batch: Lightning counts that batch as completed when it resumes.
    done = {"ready": batches, "started": batches, "processed": batches, "completed": batches - 1}
    progress = {"total": done, "current": dict(done), "is_last_batch": False}
    standing = {
        "epoch_progress": {"total": epoch, "current": dict(epoch)},
        "epoch_loop.batch_progress": progress,
        "epoch_loop.state_dict": {"_batches_that_stepped": steps - 1},
    }
    return loops | {"fit_loop": fit | standing}
