"""One domain's score from a network that knows several (model=labelled)."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from egsde.scores.labels import Extrapolated
from egsde.scores.model import ScoreModel
from egsde.scores.predictions import Prediction
from egsde.scores.process import Score
from egsde.scores.record import domains_of, paths_of, place_of
from egsde.sde import SDE

TABLE, BIAS = "label_emb.weight", "time_embed.2.bias"


@dataclass(frozen=True)
class Told:
    """What a network of several domains is told to make.

    side: "source" or "target" of the run. domain: the run's of that side, which is made where the
    file names it; else the file's own of that side is. label: a domain by its name in the file, as
    "source" or "target" of the file, or by its place, in the place of these. guidance: the scale
    of classifier-free guidance, 1 for none.
    """

    side: str = "target"
    domain: str | None = None
    label: str | int | None = None
    guidance: float = 1.0

    @property
    def option(self) -> str:
        """The setting of sample.py that names the file."""
        return "score.weights" if self.side == "target" else "source_score.weights"

    @property
    def _key(self) -> str:
        return self.option.removesuffix(".weights")

    def refuse(self, file: object) -> None:
        """ValueError if a label or guidance is asked of a file without labels."""
        for name, value, none in (("label", self.label, None), ("guidance", self.guidance, 1)):
            if value != none:
                raise ValueError(
                    f"{self._key}.{name}={value}: {file} knows one domain only; leave it out, or "
                    "give a file of train.py model=labelled"
                )

    def score(
        self, network: Any, sde: SDE, prediction: Prediction, autocast: bool = False
    ) -> Score:
        """The score of that domain. ValueError for a label that the file does not know, or
        guidance where the network has not seen images without a label."""
        record, names = network.record, domains_of(network.record)
        place = record["label"] = self.place(record)
        made = ScoreModel(alone(network, place), sde, prediction, autocast=autocast)
        if self.guidance == 1:
            return made
        if network.label_emb.num_embeddings == len(names):
            raise ValueError(
                f"{self._key}.guidance={self.guidance} needs a network that has seen images "
                f"without a label, and {record['file']} has not; train with module.drop=0.1, or "
                "use guidance=1"
            )
        none = ScoreModel(alone(network, len(names)), sde, prediction, autocast=autocast)
        return Extrapolated(made, none, self.guidance)

    def place(self, record: Mapping[str, Any]) -> int:
        """That domain's place in the table of labels; ValueError as above."""
        names = domains_of(record)
        sides = {"source": 0, "target": len(names) - 1}
        named = place_of(record, self.domain if self.label is None else self.label)
        if named is not None:
            return named
        if self.label is None or self.label in sides:
            return sides[self.side if self.label is None else str(self.label)]
        if isinstance(self.label, int) and 0 <= self.label < len(names):
            return self.label
        raise ValueError(
            f"{self._key}.label={self.label}: {record.get('file')} knows {', '.join(names)} "
            f"(0 .. {len(names) - 1}); leave it out for the run's own"
        )


def labels_as(
    state: Mapping[str, Tensor], record: Mapping[str, Any], config: Mapping[str, Any]
) -> dict[str, Tensor]:
    """The weights of a file of several domains with its labels in the order of a training on them.

    As they are where the training knows a domain that the file does not.
    """
    table = state.get(TABLE, ())
    places = [place_of(record, path) for path in paths_of(config)]
    rows = [*places, *range(len(paths_of(record)), len(table))]
    known = all(row is not None and row < len(table) for row in rows)
    return dict(state) | ({TABLE: state[TABLE][rows]} if known and len(table) else {})


def alone(network: nn.Module, label: int) -> nn.Module:
    """A copy of a network (x, time, label) that makes one label and is (x, time)."""
    one: Any = copy.deepcopy(network)
    one.label_emb = None
    one.load_state_dict(weights_alone(network.state_dict(), label))
    return one


def weights_alone(state: Mapping[str, Tensor], label: int) -> dict[str, Tensor]:
    """The weights of a network without labels that does what these do for one label.

    Its time's embedding is W h + b + table[label], so the label's row joins the bias. ValueError
    for weights without them, or whose table is too short.
    """
    own = dict(state)
    table, bias = own.pop(TABLE, None), own.get(BIAS)
    if table is None or bias is None or table.shape[1:] != bias.shape:
        raise ValueError(f"a network with labels adds a row of {TABLE} to {BIAS}, this has none")
    if label >= len(table):
        raise ValueError(f"label {label} of a network that knows {len(table)} of them")
    return own | {BIAS: bias + table[label]}
