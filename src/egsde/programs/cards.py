"""Cards of published networks: what a file is called, where it is published, how it is opened."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from egsde.disk import sha256_of_file
from egsde.scores.container import FETCHED

EGSDE = "https://github.com/ML-GSAI/EGSDE"
AFHQ = "no licence is stated for the file; trained on AFHQ, CC BY-NC 4.0: non-commercial"
CELEBA = "no licence is stated for the file; trained on CelebA-HQ: non-commercial research"


@dataclass(frozen=True)
class Card:
    """A published network.

    url: the page that links the file; sha256: None while nobody has told it, and then the file is
    not checked; configuration: the choices that open it.
    """

    name: str
    file: str
    url: str
    licence: str
    configuration: Mapping[str, str] = field(default_factory=dict)
    sha256: str | None = None

    @property
    def part(self) -> str:
        """What it is in a translator: score or extractor."""
        return next(iter(self.configuration))

    def path(self) -> Path:
        """The file in the working directory or in the cache; FileNotFoundError says where to put
        it, ValueError that it is another file."""
        found = [place for place in (Path(self.file), FETCHED / self.file) if place.is_file()]
        if not found:
            known = f"its sha256 is {self.sha256}" if self.sha256 else "its sha256 is not published"
            raise FileNotFoundError(
                f"{self.name} needs {self.file}, which is not here: get it from {self.url} "
                f"({self.licence}; {known}) and put it at {FETCHED / self.file}"
            )
        if self.sha256 is not None and (got := sha256_of_file(found[0])) != self.sha256:
            raise ValueError(
                f"{found[0]} is not the published {self.name}: its sha256 is {got}, not "
                f"{self.sha256}; get it again from {self.url}"
            )
        return found[0]

    def overrides(self) -> list[str]:
        """The choices and the file, as on the command line."""
        chosen = [f"{key}={value}" for key, value in self.configuration.items()]
        return [*chosen, f"{self.part}.weights='{self.path()}'"]


def _extractor(name: str, licence: str, classes: int = 2) -> Card:
    choices = {"extractor": "dse_256", "extractor.config.num_classes": str(classes)}
    return Card(name, f"{name}.pt", EGSDE, licence, choices)


CARDS = {
    card.name: card
    for card in (
        Card(
            "afhq_dog",
            "afhq_dog_4m.pt",
            "https://github.com/jychoi118/ilvr_adm",
            AFHQ,
            {"score": "adm_256"},
        ),
        Card("celebahq_female", "celebahq_female_ddpm.pth", EGSDE, CELEBA, {"score": "ddpm_256"}),
        _extractor("cat2dog_dse", AFHQ),
        _extractor("wild2dog_dse", AFHQ),
        _extractor("afhq_dse", AFHQ, classes=3),
        _extractor("male2female_dse", CELEBA),
    )
}
