"""Folders of diffusers: the same network and process by names, both ways."""

from __future__ import annotations

import json

import pytest
import torch

import egsde
from egsde.networks import DDPMUNet
from egsde.networks.diffusers_unet import DiffusersUNet, read_unet, theirs
from egsde.scores import ScoreModel
from egsde.scores.diffusers import chain_of, load_diffusers, prediction_of, save_pipeline
from egsde.scores.predictions import EpsPrediction, ScorePrediction, VPrediction, X0Prediction
from egsde.scores.process import said
from egsde.sde import DDPM, VP, linear_betas, quad_betas

SMALL = {
    "image_size": 8,
    "ch": 32,
    "ch_mult": (1, 2),
    "num_res_blocks": 1,
    "attn_resolutions": (4,),
}


def small(**options):
    torch.manual_seed(0)
    return DDPMUNet(**{**SMALL, **options}).eval()


def moved(score: ScoreModel) -> tuple[torch.Tensor, torch.Tensor]:
    x = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    return x, score(x, torch.tensor(0.3, dtype=torch.float64))


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"cos_first": True, "freq_shift": 0, "pad_around": True, "head_channels": 8, "eps": 1e-5},
        {"in_channels": 1, "out_ch": 2, "ch_mult": (1, 1, 2), "num_res_blocks": 2},
    ],
)
def test_round_trip_is_equal_to_the_bit(tmp_path, options):
    net = small(**options)
    save_pipeline(ScoreModel(net, DDPM()), tmp_path)
    again = read_unet(tmp_path)
    assert type(again) is DDPMUNet
    assert {k: v.shape for k, v in net.state_dict().items()} == {
        k: v.shape for k, v in again.state_dict().items()
    }
    assert all(torch.equal(v, again.state_dict()[k]) for k, v in net.state_dict().items())
    x, t = torch.randn(2, net.in_channels, 8, 8), torch.tensor([3.0, 500.0])
    with torch.no_grad():
        assert torch.equal(net(x, t), again(x, t))


@pytest.mark.parametrize(("mult", "count"), [((1, 1, 2, 2, 4, 4), 450), ((1, 2, 2, 2), 328)])
def test_published_layouts_have_every_name_once(mult, count):
    """google/ddpm-celebahq-256 and ddpm-cifar10-32."""
    with torch.device("meta"):
        net = DDPMUNet(256 if len(mult) == 6 else 32, ch_mult=mult, attn_resolutions=(16,))
    names = {theirs(name, len(mult)) for name in net.state_dict()}
    assert len(names) == len(net.state_dict()) == count
    assert {"time_embedding.linear_1.weight", "mid_block.attentions.0.group_norm.bias"} <= names
    assert any(name.endswith("attentions.2.to_out.0.weight") for name in names)
    assert {
        "down_blocks.0.downsamplers.0.conv.weight",
        "up_blocks.0.upsamplers.0.conv.bias",
    } <= names


def test_names_of_attention_before_0_15(tmp_path):
    from safetensors.torch import load_file, save_file

    net = small()
    save_pipeline(ScoreModel(net, DDPM()), tmp_path)
    file = tmp_path / "unet" / "diffusion_pytorch_model.safetensors"
    old = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}
    state = {}
    for name, value in load_file(file).items():
        for new, before in old.items():
            name = name.replace(f".{new}.", f".{before}.")
        state[name] = value
    save_file(state, file)
    again = read_unet(tmp_path).state_dict()
    assert all(torch.equal(v, again[k]) for k, v in net.state_dict().items())


@pytest.mark.parametrize(
    ("config", "ours"),
    [
        ({"norm_num_groups": 32}, True),
        ({"attention_head_dim": None, "downsample_padding": 0, "flip_sin_to_cos": False,
          "freq_shift": 1, "norm_eps": 1e-6}, True),
        ({"norm_num_groups": 8}, False),
        ({"down_block_types": ("ResnetDownsampleBlock2D", "AttnDownBlock2D"),
          "up_block_types": ("AttnUpBlock2D", "ResnetUpsampleBlock2D")}, False),
    ],
)  # fmt: skip
def test_equal_to_diffusers(tmp_path, config, ours):
    diffusers = pytest.importorskip("diffusers")
    torch.manual_seed(2)
    base = {
        "sample_size": 8,
        "block_out_channels": (32, 64),
        "layers_per_block": 1,
        "down_block_types": ("DownBlock2D", "AttnDownBlock2D"),
        "up_block_types": ("AttnUpBlock2D", "UpBlock2D"),
    }
    unet = diffusers.UNet2DModel(**{**base, **config}).eval()
    scheduler = diffusers.DDPMScheduler(
        beta_schedule="scaled_linear", prediction_type="v_prediction"
    )
    diffusers.DDPMPipeline(unet, scheduler).save_pretrained(tmp_path)
    net = read_unet(tmp_path)
    assert type(net) is (DDPMUNet if ours else DiffusersUNet)
    x, t = torch.randn(2, 3, 8, 8), torch.tensor([7.0, 431.0])
    with torch.no_grad():
        theirs_out = unet(x, t).sample
        assert (net(x, t) - theirs_out).abs().max() < 1e-5 * theirs_out.abs().max()
    sde = chain_of(tmp_path)
    t = torch.arange(1, 1001, dtype=torch.float64) / 1000
    bar = scheduler.alphas_cumprod.double()
    assert torch.allclose(sde.alpha(t).square(), bar, atol=1e-5)
    assert prediction_of(tmp_path) == VPrediction()


def test_a_class_conditional_network_of_diffusers(tmp_path):
    """Each class gives the network's own eps for it; one that is missing or unknown is named."""
    diffusers = pytest.importorskip("diffusers")
    torch.manual_seed(2)
    unet = diffusers.UNet2DModel(
        sample_size=8, block_out_channels=(32, 64), layers_per_block=1, num_class_embeds=4,
        down_block_types=("DownBlock2D", "AttnDownBlock2D"),
        up_block_types=("AttnUpBlock2D", "UpBlock2D"),
    ).eval()  # fmt: skip
    diffusers.DDPMPipeline(unet, diffusers.DDPMScheduler()).save_pretrained(tmp_path)
    sde = chain_of(tmp_path)
    x, t = torch.randn(2, 3, 8, 8), torch.tensor(0.5, dtype=torch.float64)
    for label in (0, 3):
        with torch.no_grad():
            found = -sde.sigma(t) * load_diffusers(tmp_path, sde, label=label)(x, t)
            eps = unet(x, torch.full((2,), 499), class_labels=torch.full((2,), label)).sample
        assert (found - eps).abs().max() < 1e-5 * eps.abs().max()
    with pytest.raises(ValueError, match=r"class-conditional.*score\.label=0 \.\. 3"):
        load_diffusers(tmp_path, sde)
    with pytest.raises(ValueError, match=r"label=4 is none of the network's 0 \.\. 3"):
        load_diffusers(tmp_path, sde, label=4)
    assert (
        egsde.load(tmp_path, "score.label=1", "sampler.grid.steps=4").translate(x).shape == x.shape
    )


@pytest.mark.parametrize(
    ("prediction", "betas"),
    [
        (EpsPrediction(), linear_betas()),
        (VPrediction(), quad_betas(50)),
        (X0Prediction(), linear_betas(10)),
    ],
)
def test_pipeline_round_trip(tmp_path, prediction, betas):
    score = ScoreModel(small(), DDPM(betas), prediction)
    save_pipeline(score, tmp_path)
    again = load_diffusers(tmp_path, DDPM(betas))
    assert again.prediction == prediction
    with torch.no_grad():
        x = torch.randn(2, 3, 8, 8)
        t = torch.tensor(0.4, dtype=torch.float64)
        assert torch.equal(score(x, t), again(x, t))


def test_diffusers_samples_what_we_write(tmp_path):
    diffusers = pytest.importorskip("diffusers")
    save_pipeline(ScoreModel(small(), DDPM(linear_betas(20))), tmp_path)
    pipeline = diffusers.DDPMPipeline.from_pretrained(tmp_path)
    pipeline.set_progress_bar_config(disable=True)
    images = pipeline(num_inference_steps=4, output_type="np").images
    assert images.shape == (1, 8, 8, 3)
    x, t = torch.randn(1, 3, 8, 8), torch.tensor([11.0])
    with torch.no_grad():
        assert torch.allclose(pipeline.unet(x, t).sample, small()(x, t), atol=1e-5)


def folder(tmp_path, unet=None, scheduler=None):
    save_pipeline(ScoreModel(small(), DDPM(linear_betas(20))), tmp_path)
    for file, change in (
        (tmp_path / "unet/config.json", unet),
        (tmp_path / "scheduler/scheduler_config.json", scheduler),
    ):
        file.write_text(json.dumps({**json.loads(file.read_text()), **(change or {})}))
    return tmp_path


@pytest.mark.parametrize(
    ("unet", "scheduler", "told"),
    [
        ({"made_up": 1}, {}, "made_up"),
        ({"class_embed_type": "timestep"}, {}, "class_embed_type=timestep, a network that is told"),
        ({"_class_name": "UNet2DConditionModel"}, {}, "UNet2DConditionModel"),
        ({"block_out_channels": [32, 96]}, {}, "misshaped"),
        ({"block_out_channels": [32]}, {}, "block_out_channels"),
        ({"layers_per_block": 10**9}, {}, "layers_per_block"),
        ({"sample_size": None}, {}, "sample_size"),
        ({"attention_head_dim": 7}, {}, "head_channels=7"),
        ({}, {"beta_schedule": "wave", "trained_betas": None}, "beta_schedule=wave"),
        ({}, {"prediction_type": "flow"}, "prediction_type=flow"),
        ({}, {"_class_name": "FlowMatchEulerDiscreteScheduler"}, "FlowMatchEuler"),
        ({}, {"num_train_timesteps": 10**9, "trained_betas": None}, "num_train_timesteps"),
        ({}, {"trained_betas": [0.1, 2.0]}, "betas"),
    ],
)
def test_what_a_folder_cannot_be_is_named(tmp_path, unet, scheduler, told):
    path = folder(tmp_path, unet, scheduler)
    with pytest.raises(ValueError, match=told) as error:
        load_diffusers(path, DDPM(linear_betas(20)))
    assert str(tmp_path) in str(error.value)


def test_chains_of_one_length_are_told_apart():
    one, other = DDPM(), DDPM(linear_betas(1000, 1e-4, 0.012))
    assert repr(one) == repr(other) and said(one) != said(other)


def test_another_process_is_refused_with_both(tmp_path):
    path = folder(tmp_path)
    with pytest.raises(ValueError, match=r"DDPM\(20\) .*0.02.*VP"):
        load_diffusers(path, VP())
    with pytest.raises(ValueError, match=r"DDPM\(20\).*DDPM\(1000\)"):
        load_diffusers(path, DDPM())
    with pytest.raises(FileNotFoundError, match="save_pretrained"):
        load_diffusers(tmp_path / "none", DDPM())
    (tmp_path / "both").mkdir()
    (tmp_path / "both/weights.safetensors").touch()  # like a name of the hub
    with pytest.raises(ValueError, match="is a file.*score=trained.*sde=ddpm"):
        chain_of(tmp_path / "both/weights.safetensors")


def test_what_has_no_place_in_a_pipeline(tmp_path):
    with pytest.raises(ValueError, match="is none; train with sde=ddpm"):
        save_pipeline(ScoreModel(small(), VP()), tmp_path)
    with pytest.raises(ValueError, match="prediction_type"):
        save_pipeline(ScoreModel(small(), DDPM(), ScorePrediction()), tmp_path)
    with pytest.raises(ValueError, match="ddpm_tiny"):
        save_pipeline(ScoreModel(torch.nn.Conv2d(3, 3, 1), DDPM()), tmp_path)
    with pytest.raises(ValueError, match="resamp_with_conv"):
        save_pipeline(ScoreModel(small(resamp_with_conv=False), DDPM()), tmp_path)


def test_a_folder_translates(tmp_path):
    """egsde.load of a pipeline's folder is SDEdit with its network and process."""
    from egsde.methods import sdedit
    from egsde.noise import Noise
    from egsde.sampling import Sampler
    from egsde.sampling.grids import Uniform
    from egsde.solvers import Ancestral

    path = folder(tmp_path)
    x = torch.rand(2, 3, 8, 8) * 2 - 1
    found = egsde.load(path, "sampler.grid.steps=20", "t_start=0.5").translate(x)
    sampler = Sampler(Ancestral(), Uniform(20))
    score = load_diffusers(path, DDPM(linear_betas(20)))
    expected = sdedit(score, sampler, 0.5)(x, Noise(0, ["0", "1"]))
    assert torch.equal(found, expected.clamp(-1, 1))
    with pytest.raises(ValueError, match=r"DDPM\(20\).*VP"):
        egsde.load(path, "sde=vp", "sampler.grid.steps=20")


def test_egsde_goes_through_a_pipelines_folder(tmp_path):
    """Its network and betas, our classifier: sample.py, and the same in Python."""
    from demo_networks import write_networks
    from egsde.energies import DomainCosine, LowPassL2
    from egsde.methods import egsde as method
    from egsde.noise import Noise
    from egsde.sampling import Sampler
    from egsde.sampling.grids import Uniform
    from egsde.scores.files import load_extractor
    from egsde.solvers import Ancestral
    from runs import command

    save_pipeline(ScoreModel(small(image_size=16), DDPM(linear_betas())), tmp_path / "pipeline")
    own = [o for o in write_networks(tmp_path) if not o.startswith("score.")]
    assert command("sample", "experiment=none", "score=diffusers", "translator=egsde", *own,
                   f"score.weights={tmp_path / 'pipeline'}", "limit=2", "report=0", "check=false",
                   f"out={tmp_path / 'out'}") == 0  # fmt: skip
    made = sorted((tmp_path / "out" / "images").rglob("*.png"))
    found = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert len(made) == 2 and found["nfe"] == {"score": 5, "extractor": 10}
    score = load_diffusers(tmp_path / "pipeline", DDPM(linear_betas()))
    extractor = load_extractor(str(tmp_path / "classifier.safetensors"), DDPM(linear_betas()))
    energy = 500 * DomainCosine(extractor) + 2 * LowPassL2(2)
    x = torch.rand(1, 3, 16, 16) * 2 - 1
    here = method(score, Sampler(Ancestral(), Uniform(10)), energy, 0.5)(x, Noise(0, ["0"]))
    loaded = egsde.load(tmp_path / "pipeline", "translator=egsde", "energy=egsde", *own)
    assert torch.allclose(loaded.translate(x), here.clamp(-1, 1), atol=1e-5)


def test_a_training_of_ours_becomes_a_pipeline_and_comes_back(tmp_path):
    """network=ddpm_tiny, egsde export format=diffusers, score=diffusers: the same score."""
    from egsde.programs.export import export
    from egsde.scores.files import load_score
    from runs import composed, trained

    options = ["network=ddpm_tiny", "network.ch_mult=[1]", "data.size=16"]
    trained(tmp_path / "run", *options, "network.attn_resolutions=[]", drop=("network",))
    file = tmp_path / "run" / "weights.safetensors"
    out = tmp_path / "pipeline"
    export(composed("export", out, "format=diffusers", f"weights={file}"))
    ours, theirs = load_score(file, DDPM()), load_diffusers(out, chain_of(out))
    (x, a), (_, b) = moved(ours), moved(theirs)
    assert x.shape == a.shape and torch.equal(a, b)
