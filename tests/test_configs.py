"""Every file of every configuration group composes, and what needs no weights is built."""

from __future__ import annotations

import shutil

import pytest
import torch
from hydra.errors import MissingConfigException
from hydra.utils import instantiate
from omegaconf import OmegaConf

from egsde.programs.better import mode_of
from egsde.programs.build import Parts
from egsde.programs.checks import GENERAL, ROOTS, check
from egsde.programs.cli import CONF
from egsde.programs.unread import unread
from egsde.programs.values import check_values, referred
from egsde.sampling import AtOnce
from runs import command, composed
from shared import shared_path

TRAIN = ("sde", "data", "degradation", "trainer", "callbacks", "logger", "model", "network")
SAMPLE = ("sde", "data", "degradation", "trainer", "logger", "sampler", "energy", "translator",
          "score", "extractor", "judge", "metrics")  # fmt: skip

SCORE = ("prediction", "loss", "times", "sde")  # of model=score only
CYCLE = ("gradient", "partners")  # of model=cycle only
RIVALS = ("coupling", "discriminator")  # of flows; of adversarial models
EVALUATE = ("score", "likelihood")  # the others come up in the rows above


def options(group: str) -> list[str]:
    return sorted(f.stem for f in (CONF / group).glob("*.yaml") if not f.stem.startswith("_"))


def rows(groups: tuple[str, ...]) -> list[list[str]]:
    """Lists of overrides in which every option of every group comes up."""
    table = {group: options(group) for group in groups}
    longest = max(map(len, table.values()))
    return [[f"{g}={names[i % len(names)]}" for g, names in table.items()] for i in range(longest)]


def test_no_group_is_left_out():
    groups = {file.parent.name for file in CONF.glob("*/*.yaml")}
    others = {"codec", "demo", "perceptual", "weighting"}
    assert groups == {*TRAIN, *SCORE, *SAMPLE, *EVALUATE, *CYCLE, *RIVALS, *others}


@pytest.mark.parametrize("overrides", rows(TRAIN), ids=" ".join)
def test_training_composes_with_every_option(overrides, tmp_path):
    if "model=lsgm" in overrides:  # its networks are network@network.vae and network@network.prior
        overrides = [o for o in overrides if not o.startswith("network=")]
    cfg = composed("train", tmp_path, *overrides)
    OmegaConf.to_container(cfg, resolve=True)
    instantiate(cfg.sde)
    instantiate(cfg.module.schedule)
    if not OmegaConf.missing_keys(cfg.data):
        instantiate(cfg.data)


@pytest.mark.parametrize("overrides", rows(SCORE), ids=" ".join)
def test_what_a_score_learns_composes_with_every_option(overrides, tmp_path):
    cfg = composed("train", tmp_path, "data=toy", "network=mlp", *overrides)
    instantiate(cfg.module)


@pytest.mark.parametrize("gradient", options("gradient"))
def test_a_cycle_is_built_with_every_gradient_mode(gradient, tmp_path):
    cfg = composed("train", tmp_path, "model=cycle", f"gradient={gradient}", "partners=in_loop")
    assert type(instantiate(cfg.partners).mode).__name__.lower() == gradient.replace("_", "")


@pytest.mark.parametrize("coupling", options("partners/coupling"))
def test_a_cycle_composes_with_every_coupling(coupling, tmp_path):
    cfg = composed("train", tmp_path, "model=cycle", f"partners/coupling={coupling}")
    OmegaConf.to_container(cfg, resolve=True)
    if coupling in ("none", "blur"):  # the others need a score of the source
        instantiate(cfg.partners)


@pytest.mark.parametrize("coupling", options("coupling"))
def test_a_flow_composes_with_every_coupling(coupling, tmp_path):
    cfg = composed("train", tmp_path, "model=rectified_flow", f"coupling={coupling}")
    check_values(cfg, {}, ("module",), {})
    if coupling == "reflow":
        assert composed("train", tmp_path, "model=rectified_flow", "coupling=reflow",
                        "allow=[my_package]").coupling.open.allow == ["my_package"]  # fmt: skip
        with pytest.raises(ValueError, match="coupling.weights=RUN"):
            Parts(cfg)("coupling")
    else:
        assert Parts(cfg)("module").coupling == Parts(cfg)("coupling")


@pytest.mark.parametrize("judge", options("discriminator"))
def test_every_judge_is_built(judge, tmp_path):
    cfg = composed("train", tmp_path, "model=ddgan", f"discriminator={judge}")
    channels = {"patch_gan": 3, "patch": 3, "in_time": 6, "points": 4}[judge]
    side = 1 if judge == "points" else 64
    t = [] if judge in ("patch", "patch_gan") else [torch.zeros(2)]
    logits = Parts(cfg)("discriminator")(torch.randn(2, channels, side, side), *t)
    assert len(logits) == 2 and logits.flatten(1).shape[1] == {"patch_gan": 36, "patch": 196}.get(
        judge, 1
    )


@pytest.mark.parametrize("overrides", rows(SAMPLE), ids=" ".join)
def test_translation_composes_with_every_option(overrides, tmp_path):
    cfg = composed("sample", tmp_path, "experiment=none", *overrides)
    OmegaConf.to_container(cfg, resolve=True)
    check_values(cfg, {}, ("sampler", "sde"), {})
    sampler, sde = instantiate(cfg.sampler), instantiate(cfg.sde)
    try:
        times = sampler.times(sde, 0.5)  # an adaptive solver: one step
        assert len(times) >= 2 - isinstance(sampler.grid, AtOnce)
    except ValueError as refusal:  # a method without meaning on this process names another sde
        assert "sde=" in str(refusal) or "steps=" in str(refusal)
    if cfg.metrics is not None and "single" not in cfg.metrics:  # those may need weights
        instantiate(cfg.metrics)


@pytest.mark.parametrize("overrides", rows(EVALUATE), ids=" ".join)
def test_measurement_composes_with_every_option(overrides, tmp_path):
    OmegaConf.to_container(composed("likelihood", tmp_path, *overrides), resolve=True)


def test_every_energy_term_composes(tmp_path):
    terms = options("energy/term")
    cfg = composed("sample", tmp_path, *(f"+energy/term@energy.terms.{t}_={t}" for t in terms))
    for term in terms:
        target = cfg.energy.terms[f"{term}_"]._target_
        name = target.rsplit(".", 1)[1].removeprefix("load_")
        assert name.lower() == term.replace("_", "")


ROWS = ("cat2dog", "wild2dog", "male2female", "multi_afhq", "sdedit_")  # test_experiments has them
EXPERIMENTS = [
    pytest.param(p, name, marks=pytest.mark.slow if p == "sample" and name.startswith(ROWS) else ())
    for p in ("train", "sample")
    for name in options(f"programs/{p}/experiment")
]


@pytest.mark.parametrize(("program", "name"), EXPERIMENTS, ids=" ".join)
def test_every_experiment_composes(program, name, tmp_path):
    cfg = composed(program, tmp_path, f"experiment={name}")
    OmegaConf.to_container(cfg, resolve=True)
    instantiate(cfg.sde)


@pytest.mark.parametrize(("program", "name"), [("sample", "palette"), ("train", "cat2dog")])
def test_a_recipe_of_one_program_is_none_of_the_other(program, name, capsys):
    assert command(program, "--cfg", "job", f"experiment={name}") == 1
    said = capsys.readouterr().err
    assert f"experiment={name} is unknown; there is" in said and ", none" in said
    with pytest.raises(MissingConfigException):
        composed(program, "out", f"experiment={name}")


def test_a_search_path_of_ones_own_keeps_the_experiments(tmp_path, capsys):
    (tmp_path / "sde").mkdir()
    (tmp_path / "sde" / "mine.yaml").write_text("_target_: egsde.sde.VP\n")
    given = [f"hydra.searchpath=[file://{tmp_path}]", "sde=mine", "experiment=fluent_score"]
    assert command("train", "--cfg", "job", *given) == 0
    assert "max_steps: 24000" in capsys.readouterr().out


SEARCHES = [(program, name) for program in ("train", "sample")
            for name in options(f"programs/{program}/hparams_search")]  # fmt: skip


@pytest.mark.parametrize(("program", "name"), SEARCHES, ids=" ".join)
def test_every_search_names_keys_that_exist(program, name, tmp_path):
    if name == "optuna":
        pytest.importorskip("optuna")
    model = ["model=classifier"] if name == "classifier" else []
    cfg = composed(program, tmp_path, *model, f"hparams_search={name}", hydra_too=True)
    for key in cfg.hydra.sweeper.params:
        assert OmegaConf.select(cfg, key) is not None
    if program == "train":
        assert cfg.objective in ("val/kid", "val/accuracy")


def test_the_sweep_of_wandb_gives_settings_of_train(tmp_path):
    """Its agent writes key=value for each parameter: both ends of each compose."""
    sweep = OmegaConf.load(CONF / "programs/train/wandb_sweep.yaml")
    assert "- ${args_no_hyphens}" in (CONF / "programs/train/wandb_sweep.yaml").read_text()
    for side in (0, -1):
        ends = {k: v.get("values", [v.get("min"), v.get("max")])[side]
                for k, v in sweep.parameters.items()}  # fmt: skip
        cfg = composed("train", tmp_path, "logger=wandb", *(f"{k}={v}" for k, v in ends.items()))
        assert all(OmegaConf.select(cfg, key) == value for key, value in ends.items())
    assert sweep.program == "train.py" and mode_of(sweep.metric.name).startswith(
        sweep.metric.goal[:3]
    )


@pytest.mark.parametrize(("network", "millions"), [("adm_256", 93.6), ("dse_256", 53.6)])
def test_the_256_pixel_networks_have_the_published_size(network, millions, tmp_path):
    model = "score" if network == "adm_256" else "classifier"
    cfg = composed("train", tmp_path, "sde=vp", "data=afhq", "trainer=gpu", f"model={model}",
                   f"network={network}")  # fmt: skip
    with torch.device("meta"):
        net = instantiate(cfg.network)
    assert sum(p.numel() for p in net.parameters()) / 1e6 == pytest.approx(millions, abs=0.06)


@pytest.mark.slow
def test_the_command_for_real_data_steps_on_a_cpu(tmp_path):
    """sde=vp data=afhq network=adm_256, narrower and at 64 pixels, on real AFHQ files."""
    from egsde.programs.train import train

    for split in ("train", "val", "test"):  # the few images that are recorded serve as all splits
        shutil.copytree(shared_path("data/samples_256/afhq/val"), tmp_path / "afhq" / split)
    cfg = composed("train", tmp_path / "run", "sde=vp", "data=afhq", "data.size=64",
                   f"data.root={tmp_path / 'afhq'}",
                   "network=adm_256", "network.num_channels=32", "network.num_head_channels=32",
                   "network.channel_mult=[1,1,2]", "network.learn_sigma=false", "trainer=gpu",
                   "trainer.accelerator=cpu", "trainer.precision=32-true", "trainer.max_steps=2",
                   "trainer.val_check_interval=2", "data.batch_size=2", "data.num_workers=0",
                   "translate=null")  # fmt: skip
    assert 0.5 < train(cfg) < 2


@pytest.mark.parametrize(
    ("overrides", "names"),
    [
        (["translator=sdedit", "t_start=0.4", "sampler=ddim", "metrics.seed=1"], []),
        (["translator=sdedit", "+energy.weights.realism=1"], ["energy"]),
        (["translator=sdedit", "metrics=domain", "extractor.autocast=true"], []),
        (["translator=cycle_diffusion", "t_start=0.4", "source_score.autocast=true"], ["t_start"]),
        (["translator=egsde_fast", "factor=8"], []),
        (["translator=ddib", "energy=none"], []),
        (["translator=sdedit", "energy=none", "trainer.devices=1"], []),
        (
            ["trainer.max_steps=5", "+trainer.max_time=1"],
            ["trainer.max_steps and trainer.max_time"],
        ),
        (["translator=egsde_fast", "sampler.grid.steps=7", "t_start=0.4"], ["sampler"]),
    ],
)
def test_settings_that_a_translator_does_not_read_are_named(overrides, names, tmp_path):
    given = [o for o in overrides if not o.startswith(("metrics.", "+"))]
    cfg = composed("sample", tmp_path, *given)
    told = unread("sample", cfg, ROOTS["sample"], GENERAL["sample"], overrides)
    assert [text.split(":")[0] for text in told] == names


@pytest.mark.parametrize("program", ["sample", "likelihood"])
def test_the_trainers_precision_is_that_of_the_networks(program, tmp_path):
    """trainer=gpu asks for bf16-mixed, and nothing else in these programs could heed it."""
    for precision, fast in (("32-true", False), ("bf16-mixed", True)):
        slow = ["score.autocast=false"] + ["extractor.autocast=false"] * (program == "sample")
        cfg = composed(program, tmp_path, f"trainer.precision={precision}", *slow)
        check(program, cfg)
        assert cfg.score.autocast is fast
        if program == "sample" and "extractor" in referred(cfg, "translator"):
            assert cfg.extractor.autocast is fast


@pytest.mark.parametrize(
    ("source", "target"), [("2024_01", "1e3"), ("007", "yes"), ("0x1f", "1.50"), ("true", "nan")]
)
def test_names_that_look_like_numbers_stay_as_they_were_written(tmp_path, source, target):
    given = ["data=folder", f"data.source={source}", f"data.target={target}"]
    cfg = composed("sample", tmp_path, *given)
    check("sample", cfg, given)
    assert (cfg.data.source, cfg.data.target) == (source, target)


def test_no_best_checkpoint_may_be_asked_for(tmp_path):
    """`best=null`, as its comment says."""
    check("train", composed("train", tmp_path, "best=null"))
