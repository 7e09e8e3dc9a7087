"""Scores from folders of diffusers, as `save_pretrained` writes a DDPMPipeline, and back.

The scheduler's config says the process and the prediction; what it cannot mean is refused by its
key. Network: `egsde.networks.diffusers_unet`.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from egsde.disk import whole
from egsde.networks.ddpm_unet import DDPMUNet
from egsde.networks.diffusers_unet import (
    WEIGHTS,
    read_unet,
    their_config,
    their_state,
    unet_folder,
)
from egsde.networks.folders import read_json
from egsde.scores.labels import of_class
from egsde.scores.model import ScoreModel
from egsde.scores.predictions import (
    EpsPrediction,
    NetworkTime,
    Prediction,
    VPrediction,
    X0Prediction,
)
from egsde.scores.process import said, same_process
from egsde.sde import DDPM, SDE, cosine_betas, linear_betas, quad_betas, sigmoid_betas

BETAS: dict[str, Callable[[int, float, float], Tensor]] = {
    "linear": linear_betas,
    "scaled_linear": quad_betas,
    "squaredcos_cap_v2": lambda levels, start, end: cosine_betas(levels),
    "sigmoid": sigmoid_betas,
}
PREDICTIONS = {"epsilon": EpsPrediction, "v_prediction": VPrediction, "sample": X0Prediction}
# Schedulers that only sample differently from the same chain.
CHAINS = {
    "DDPMScheduler", "DDIMScheduler", "DDPMParallelScheduler", "DDIMParallelScheduler",
    "DDIMInverseScheduler", "PNDMScheduler", "DPMSolverMultistepScheduler",
    "DPMSolverSinglestepScheduler", "DEISMultistepScheduler", "UniPCMultistepScheduler",
    "LMSDiscreteScheduler", "EulerDiscreteScheduler", "EulerAncestralDiscreteScheduler",
    "HeunDiscreteScheduler",
}  # fmt: skip
LEVELS = 10**5


def diffusers_folder(
    weights: str | Path | None, option: str = "score.weights", extra: str = "diffusers"
) -> Path:
    """The folder, or a name of the hub where huggingface_hub is there; FileNotFoundError else.
    ValueError where none is named, or a file."""
    if weights is None:
        raise ValueError(f"no weights are given; add {option}=DIR, a folder of save_pretrained")
    path = Path(weights).expanduser()
    if path.is_dir():
        return path
    if path.is_file():
        raise ValueError(
            f"{option}={weights} is a file, and a folder that save_pretrained wrote is wanted. A "
            "file of train.py is score=trained; where a folder is the source's score beside it, "
            "add sde=ddpm, or what it was trained with"
        )
    name = str(weights)
    hub = name.count("/") == 1 and not name.startswith(("/", ".", "~"))
    reason = f"no folder at {path.absolute()}"
    if not hub:
        raise FileNotFoundError(f"{reason}; give the folder that save_pretrained wrote")
    try:
        from huggingface_hub import snapshot_download
    except ImportError as error:
        raise FileNotFoundError(
            f"{reason}; to fetch {name} from the hub: pip install 'egsde[{extra}]'"
        ) from error
    try:
        patterns = ["*.json", "*.txt", "*.safetensors", "*.bin"]
        return Path(snapshot_download(name, allow_patterns=patterns))
    except Exception as error:  # no network, no such name, no right to it
        raise FileNotFoundError(f"{reason}, and the hub gives no {name}: {error}") from error


def _scheduler(path: Path) -> Path:
    folder = unet_folder(path) or path
    places = [path / "scheduler", folder.parent / "scheduler", folder]
    found = [place / "scheduler_config.json" for place in places]
    return next((file for file in found if file.is_file()), found[0])


def chain_of(weights: str | Path | None) -> DDPM:
    """The chain of a folder's scheduler_config.json; ValueError names the key that it cannot be."""
    file = _scheduler(diffusers_folder(weights))
    if not file.is_file():
        raise ValueError(f"{file} is not there to say the process; add sde=ddpm, or what it was")
    c = read_json(file)
    for key in ("_class_name", "beta_schedule", "prediction_type"):
        if not isinstance(c.get(key, ""), str):
            raise ValueError(f"{file}: {key}={c[key]!r:.80} is no name")
    if (name := c.get("_class_name", "DDPMScheduler")) not in CHAINS:
        raise ValueError(f"{file}: {name} is no scheduler of a DDPM chain; known: {sorted(CHAINS)}")
    levels, trained = c.get("num_train_timesteps", 1000), c.get("trained_betas")
    start, end = c.get("beta_start", 1e-4), c.get("beta_end", 0.02)
    schedule = c.get("beta_schedule", "linear")
    if not isinstance(levels, int) or isinstance(levels, bool) or not 0 < levels <= LEVELS:
        raise ValueError(f"{file}: num_train_timesteps={levels!r} is no number of levels")
    if trained is None and schedule not in BETAS:
        raise ValueError(f"{file}: beta_schedule={schedule} is none of {', '.join(BETAS)}")
    try:
        if trained is not None:
            betas = torch.tensor(trained, dtype=torch.float64)
        else:
            betas = BETAS[schedule](levels, float(start), float(end))
        if c.get("rescale_betas_zero_snr"):
            betas = _without_signal(betas)
        return DDPM(betas)
    except (TypeError, ValueError, OverflowError, IndexError) as error:
        raise ValueError(f"{file}: its betas make no chain: {str(error)[:200]}") from error


def _without_signal(betas: Tensor) -> Tensor:
    """Shifted and scaled so that the last level is noise alone (Lin 2023, algorithm 1)."""
    root = (1 - betas).cumprod(0).sqrt()
    root = (root - root[-1]) * root[0] / (root[0] - root[-1])
    bar = root.square()
    return 1 - bar / torch.cat([bar.new_ones(1), bar[:-1]])


def prediction_of(weights: str | Path | None) -> Prediction:
    """What a folder's network predicts, eps where no scheduler says it; ValueError for others."""
    file = _scheduler(diffusers_folder(weights))
    kind = read_json(file).get("prediction_type", "epsilon") if file.is_file() else "epsilon"
    if not isinstance(kind, str) or kind not in PREDICTIONS:
        raise ValueError(
            f"{file}: prediction_type={kind!s:.80} is none of {', '.join(PREDICTIONS)}"
        )
    return PREDICTIONS[kind]()


def load_diffusers(
    weights: str | Path | None, sde: SDE, autocast: bool = False, label: int | None = None
) -> ScoreModel:
    """The UNet of a diffusers folder as a score; ValueError where `sde` contradicts the folder.

    weights: a pipeline's folder, one UNet's, or a name of the hub where there is a network.
    label: the class of a class-conditional one (`num_class_embeds`); ValueError without it.
    """
    folder = diffusers_folder(weights)
    check_process(folder, sde)
    file = (unet_folder(folder) or folder) / "config.json"
    kind = read_json(file).get("class_embed_type") if file.is_file() else None
    if kind is not None:
        raise ValueError(
            f"{file}: class_embed_type={kind!s:.40}, a network that is told of a class by more "
            "than its number, which is what score=diffusers tells; take one with num_class_embeds"
        )
    net = read_unet(folder)
    return of_class(net, sde, prediction_of(folder), label, str(folder), autocast=autocast)


def check_process(folder: Path, sde: SDE) -> None:
    """ValueError where a folder's scheduler says another process."""
    if not _scheduler(folder).is_file():
        return
    own = chain_of(folder)
    if not same_process(own, sde):
        raise ValueError(
            f"{folder} was trained with {said(own)}, but the configuration has {said(sde)}; "
            "leave sde= out: the folder says it"
        )


def save_pipeline(score: ScoreModel, out: Path) -> None:
    """A folder that DDPMPipeline.from_pretrained samples; ValueError says what has no place there.

    The network is a DDPMUNet (network=ddpm_tiny, ddpm_256), the process a DDPM chain, whose betas
    are written as they are.
    """
    kinds = {kind: name for name, kind in PREDICTIONS.items()}
    kind = kinds.get(type(score.prediction))
    betas = getattr(score.sde, "betas", None)
    if not isinstance(score.net, DDPMUNet):  # the layout of exactly this class is written
        raise ValueError(
            f"a {type(score.net).__name__} has no counterpart in diffusers' UNet2DModel; "
            "train one with network=ddpm_tiny or ddpm_256"
        )
    if betas is None:
        raise ValueError(
            f"diffusers samples chains, and {score.sde!r} is none; train with sde=ddpm"
        )
    if kind is None or score.prediction.label != NetworkTime() or score.prediction.raw_input:
        raise ValueError(
            f"{score.prediction!r} has no prediction_type; train with prediction=eps, v or x0"
        )
    with whole(out / "unet" / WEIGHTS) as temporary:
        save_file(their_state(score.net), temporary, metadata={"format": "pt"})
    scheduler = {
        "_class_name": "DDPMScheduler",
        "num_train_timesteps": len(betas),
        "trained_betas": betas.tolist(),
        "prediction_type": kind,
        "variance_type": "fixed_large",
        "clip_sample": True,
    }
    pipeline = {
        "_class_name": "DDPMPipeline",
        "scheduler": ["diffusers", "DDPMScheduler"],
        "unet": ["diffusers", "UNet2DModel"],
    }
    for file, content in (
        (out / "unet" / "config.json", their_config(score.net)),
        (out / "scheduler" / "scheduler_config.json", scheduler),
        (out / "model_index.json", pipeline),
    ):
        with whole(file) as temporary:
            temporary.write_text(json.dumps(content, indent=2) + "\n")
