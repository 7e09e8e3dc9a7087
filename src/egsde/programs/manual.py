"""`--help` of a program: its own groups, what each is for, and every setting it would run with."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Sequence

from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf, open_dict

from egsde.programs.settings import CONF, groups_of, options, purposes

ABOUT = {
    "train": "train a score model (model=score), a domain classifier (model=classifier), ...",
    "sample": "translate images and measure the result",
    "evaluate": "measure a folder of translations, of any system",
    "likelihood": "bits per dimension of images under a score; evaluate.py task=likelihood",
    "export": "write a network or a translator as one file for other programs",
}
GENERAL = """\
key=value sets a value, +key=value adds one, ~key removes one; group=option replaces a part;
-m key=a,b,c runs each in a folder of its own; --cfg job prints what a command would run;
--config-dir DIR adds options of your own; HYDRA_FULL_ERROR=1 shows where an error arose."""


def manual(program: str, overrides: Sequence[str]) -> str:
    """The page of help under the overrides that stand beside --help."""
    with initialize_config_dir(str(CONF), version_base="1.3"):
        cfg = compose(program, list(overrides), return_hydra_config=True)
    chosen = {k: v for k, v in cfg.hydra.runtime.choices.items() if not k.startswith("hydra/")}
    with open_dict(cfg):
        del cfg.hydra
    here = {name.split("@")[0] for name in chosen}
    every = groups_of(program)
    now = [name for name in every if name in here]
    later = [name for name in every if name not in here]
    parts = [
        f"egsde {program} [group=option] [key=value]: {ABOUT[program]}",
        GENERAL,
        "== Groups ==\n" + "\n".join(_group(name, program, chosen) for name in now),
    ]
    if later:
        told = "\n".join(_group(name, program, {}) for name in later)
        parts.append(f"== Groups of other choices ==\n{told}")
    parts.append(f"== Settings ==\n{OmegaConf.to_yaml(cfg)}")
    return "\n\n".join(parts)


def _group(name: str, program: str, chosen: dict[str, str]) -> str:
    """A group's purpose, then its options; those that are chosen have a star."""
    mine = {option for key, option in chosen.items() if key.split("@")[0] == name}
    listed = [f"{o}*" if o in mine else o for o in options(name, program)]
    lines = f"{name}: {purposes()[name]}"
    width = min(100, shutil.get_terminal_size().columns)
    return lines + "\n" + textwrap.fill(", ".join(listed), width, initial_indent="    ",
                                        subsequent_indent="    ")  # fmt: skip
