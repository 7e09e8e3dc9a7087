"""Networks belong to the run's images: domains, their order, size and channels, as files record.

What a file does not record (an official checkpoint, one without its data) is not asked of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from lightning.pytorch.utilities import rank_zero_warn
from torch import nn

from egsde.data import TwoDomains
from egsde.data.asked import one_size
from egsde.scores.kinds import named
from egsde.scores.record import domains_of, short

MARGIN = 0.15  # of what lies between chance and certainty: a classifier below it is near chance
Asked = tuple[str, Any, Any]  # what, in the file, in the run


def check_networks(
    networks: Iterable[nn.Module],
    data: TwoDomains,
    *,
    check: bool = True,
    also: str = "",
) -> None:
    """ValueError with both values where a network's file disagrees with the run.

    check=False lets it pass. also: a domain that a score of the target may be of instead. A
    classifier that hardly tells the domains apart is warned of.
    """
    found = (getattr(net, "record", None) for part in networks for net in part.modules())
    records = {id(record): record for record in found if record is not None}.values()
    if data.range is None:
        known = [ends for r in records if (ends := (r.get("data") or {}).get("range")) is not None]
        if known:
            data.settle(known[0])
    for record in records:
        wrong = [asked for asked in disagreements(record, data, also) if asked[1] != asked[2]]
        if wrong and check:
            shown = "; ".join(f"{what}: {a} in the file, {b} in this run" for what, a, b in wrong)
            told = record["kind"] == "labelled"
            of_source = wrong[0][:2] == ("domain", short(data.source))
            how = "this one as source_score.weights, leaving score@source_score away, " * of_source
            if told and wrong[0][0] == "domain" and wrong[0][2] in domains_of(record):
                how = f"leave {record['option'].replace('weights', 'label')} away, "
            raise ValueError(
                f"{record['file']}, a {named(record['kind'])}, was not trained for these "
                f"({shown}); give the file of a training on them ({record['option']}=...), {how}or "
                "check=false to use it all the same"
            )
        if record["kind"] == "classifier":
            _warn_of_chance(record)


def disagreements(record: Mapping[str, Any], data: TwoDomains, also: str) -> Iterator[Asked]:
    """What the file says beside what the run says, agreeing or not."""
    saved = record.get("data") or {}
    if not saved:
        return
    was = [short(saved.get(key)) for key in ("source", "target")]
    now = [short(data.source), short(data.target)]
    # A file of its own is of no domain by name: it is taken for one of the source's.
    alone = data.single and data.degradation is None
    restored = data.degradation is not None or saved.get("degradation") is not None
    every = domains_of(record)
    if record["kind"] == "classifier":
        mine = [short(name) for name in data.extra]
        first = was[0] if alone else now[0]
        yield "domains", every, [first, *(mine or every[1:-1]), now[1]]
    elif record["kind"] in ("score", "labelled", "lsgm") or restored:
        made = every[record["label"] if record["kind"] == "labelled" else -1]
        here = (made if alone else now[0]) if record["side"] == "source" else now[1]
        yield "domain", made, made if also and made == short(also) else here
    else:
        # The half that makes the source serves both ways: beside the other half, and alone, with
        # the domains exchanged.
        both = was[::-1] if record["side"] == "source" and was != now else was
        yield "source and target", both, [both[0] if alone else now[0], now[1]]
    if not data.whole and saved.get("size") is not None:
        yield "data.size", one_size(saved["size"]), data.size
    channels = (record.get("network") or {}).get("in_channels")
    pixels = record.get("space") is None
    if channels is not None and pixels and record["kind"] in ("score", "labelled", "classifier"):
        yield "channels", channels, data.channels
    if record["kind"] == "conditional":
        beside: Any = data.beside.get("neighbours")
        yield "data.neighbours", saved.get("neighbours"), beside and beside.count
    if saved.get("range") is not None:
        yield "data.range", [float(v) for v in saved["range"]], [float(v) for v in data.range or ()]


def _warn_of_chance(record: Mapping[str, Any]) -> None:
    bins = re.compile(r"val/accuracy/t[\d.]+-0\.[1-5]$")  # where the noise is not yet all there is
    found = [float(v) for k, v in (record.get("validation") or {}).items() if bins.match(k)]
    if not found:
        return
    chance = 1 / (2 + len((record.get("data") or {}).get("extra") or ()))
    accuracy = sum(found) / len(found)
    if accuracy < chance + MARGIN * (1 - chance):
        rank_zero_warn(
            f"{record['file']} hardly tells the domains apart: its accuracy on the validation "
            f"images is {accuracy:.0%} in the less noisy half of the times, and {chance:.0%} is "
            "chance; its features guide to nothing. Train it longer"
        )
