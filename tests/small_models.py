"""Every model of train.py at 16 px, small enough for a few steps: its options by its name."""

from __future__ import annotations

from pathlib import Path

from demo_networks import write_networks
from egsde.programs.settings import CONF
from runs import composed

UNET = ["network.num_channels=32", "network.channel_mult=[1]", "network.num_head_channels=32"]
RESNET = ["network.width=4", "network.blocks=1"]
JUDGED = ["discriminator.width=4", "discriminator.layers=2"]
CUT = [*RESNET, *JUDGED, "module.terms.nce.layers=[0,4,12]", "module.terms.nce.patches=4",
       "heads.channels=[3,8,16]", "heads.width=8"]  # fmt: skip
STUDENT = [*UNET, "network.attention_resolutions=[]", "network.patch=1"]
PAIRED = ["data.source=3d", "data.target=flat"]

# Batch norms and dropout of pix2pix are off: they are a process's own.
MODELS: dict[str, list[str]] = {
    "autoencoder": ["network.ch=32", "network.ch_mult=[1,1]"],
    "classifier": ["network=encoder_tiny", "network.width=32"],
    "conditional": [*UNET, *PAIRED],
    "cut": CUT,
    "cycle": [*UNET, "sampler.grid.steps=2"],
    "cyclegan": [*RESNET, *JUDGED, "module.pool=10"],
    "ddbm": [*UNET, *PAIRED],
    "ddgan": [*UNET, "discriminator.channel_mult=[1]"],
    "dsbm": [*UNET, "module.wait=1", "sampler.grid.steps=2"],
    "fastcut": CUT,
    "flow_matching": UNET,
    "i2sb": [*UNET, *PAIRED],
    "inpainter": RESNET,
    "labelled": UNET,
    "lsgm": [
        "network.vae.ch=32",
        "network.vae.ch_mult=[1,1]",
        "network.vae.z_channels=2",
        "network.prior.num_channels=32",
        "network.prior.channel_mult=[1]",
        "network.prior.num_head_channels=32",
    ],
    "matched_student": [*STUDENT, "module.updates=2"],
    "palette": UNET,
    "pix2pix": [
        "network.width=4",
        *JUDGED,
        *PAIRED,
        "network.dropout=false",
        "network.batch_norm=false",
        "discriminator.batch_norm=false",
    ],
    "rectified_flow": UNET,
    "score": UNET,
    "sr3": [*UNET, "data.degradation.factor=2"],
    "student": [*STUDENT, "data.keys=2", "data.limit=3"],
    "unsb": [*UNET, "discriminator.channel_mult=[1]", "critic.channel_mult=[1]"],
    "unit_ddpm": [*UNET, "pairing.width=8", "pairing.depth=1"],
}
TAUGHT = ("student", "matched_student")
COMMON = ["data=fluent", "data.size=16", "limit=20", "data.num_workers=0", "translate=null",
          "trainer.max_steps=5", "trainer.val_check_interval=3", "+trainer.limit_val_batches=1",
          "trainer.log_every_n_steps=1"]  # fmt: skip


def every_model() -> set[str]:
    """The names that model= takes."""
    return {p.stem for p in (CONF / "model").glob("*.yaml") if not p.stem.startswith("_")}


def teach(folder: Path) -> list[str]:
    """A small run of sample.py in `folder`, and the options that make it a student's teacher."""
    from egsde.programs.sample import sample

    made = write_networks(folder)
    sample(composed("sample", folder / "teacher", "data=fluent", "translator=egsde",
                    "sampler=ddim", "limit=1", *made))  # fmt: skip
    return [f"teacher={folder / 'teacher'}",
            f"extractor.weights={folder / 'classifier.safetensors'}"]  # fmt: skip


def options_of(model: str, taught: list[str], *more: str) -> list[str]:
    """The options of a short training after train.py."""
    own = MODELS[model] + (taught if model in TAUGHT else [])
    if model == "matched_student":
        own = [o for o in own if not o.startswith("extractor")]
    return [f"model={model}", *COMMON, *own, *more]
