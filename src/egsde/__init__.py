"""egsde: unpaired image translation with energy-guided diffusion (EGSDE) and its family.

    import egsde
    t = egsde.load("demo")
    t.translate("photo.png").save("out.png")

What is named in `__all__` is imported when it is first used, so `import egsde` is quick.
"""

from importlib import import_module
from typing import Any

from egsde import _torchvision

__version__ = "0.1.0"

_HOMES = {  # where each name lives; a name without a module after it is a module itself
    "load": "programs.load",
    "PictureTranslator": "programs.load",
    "CARDS": "programs.cards",
    "Card": "programs.cards",
    # processes and the networks that know them
    "SDE": "sde",
    "DDPM": "sde",
    "VP": "sde",
    "SubVP": "sde",
    "VE": "sde",
    "EDM": "sde",
    "ScoreModel": "scores",
    "ScoreFunction": "scores",
    "ConditionalScore": "scores",
    "Extractor": "scores",
    # a translation
    "Noise": "noise",
    "Source": "source",
    "Sampler": "sampling",
    "Diffusion": "methods",
    "Translator": "methods",
    # guidance
    "Energy": "energies",
    "WeightedSum": "energies",
    "DomainCosine": "energies",
    "LowPassL2": "energies",
    # files
    "load_score": "scores.files",
    "load_extractor": "scores.files",
    "save_weights": "scores.container",
    # rooms
    "constraints": "",
    "data": "",
    "energies": "",
    "evaluation": "",
    "methods": "",
    "networks": "",
    "sampling": "",
    "sde": "",
    "solvers": "",
}
__all__ = sorted(_HOMES)

_torchvision.install()


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(
            f"module 'egsde' has no attribute {name!r}; it has {', '.join(__all__)}"
        )
    home = _HOMES[name]
    found = (
        getattr(import_module(f"egsde.{home}"), name) if home else import_module(f"egsde.{name}")
    )
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
