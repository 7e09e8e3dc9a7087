"""Codecs: exact ones exactly, learned ones by what they keep, and translators in their space."""

from __future__ import annotations

import pytest
import torch
from hydra.utils import instantiate
from torchvision.models import squeezenet1_1

import egsde
from demo_networks import CLASSIFIER, SCORE, SDE
from egsde.codecs import BlockDCT, Identity, Latent, Learned, load_codec, load_diffusers_codec
from egsde.energies import Decoded, LowPassL2
from egsde.methods import sdedit
from egsde.methods.egsde import egsde as guided_sde
from egsde.networks import Autoencoder, PatchGAN
from egsde.noise import Noise
from egsde.programs.sample import build_translator
from egsde.sampling import Sampler
from egsde.sampling.grids import Uniform
from egsde.scores.container import save_weights
from egsde.sde import VP
from egsde.solvers import DDIM, EulerMaruyama
from egsde.source import Source
from egsde.training.modules import AutoencoderModule
from egsde.training.schedules import Constant
from problems import Gaussian, f64
from runs import composed, rows, trained


def images(n: int = 2, side: int = 8) -> torch.Tensor:
    return torch.rand(n, 3, side, side, generator=torch.Generator().manual_seed(0)) * 2 - 1


def test_the_cosines_are_orthonormal_and_exact():
    for factor in (1, 2, 4):
        codec, x = BlockDCT(factor), images()
        z = codec.encode(x)
        assert z.shape == (2, 3 * factor**2, 8 // factor, 8 // factor)
        assert torch.allclose(codec.decode(z), x, atol=1e-6)
        assert torch.allclose(z.square().sum(), x.square().sum())
    low = BlockDCT(2, keep=1)
    mean = torch.nn.functional.avg_pool2d(images(), 2)
    assert torch.allclose(low.encode(images()) / 2, mean, atol=1e-6)
    assert torch.allclose(low.decode(low.encode(images()))[..., ::2, ::2], mean, atol=1e-6)
    with pytest.raises(ValueError, match=r"1 \.\. 4"):
        BlockDCT(2, keep=5)


def test_a_white_law_is_translated_alike_in_both_spaces():
    """An orthonormal codec takes N(m, v) of every pixel to one Gaussian law of latents: the
    deterministic flow of SDEdit commutes with it."""
    sde, law, codec = VP(), Gaussian(0.0, 0.25), BlockDCT(2)
    sampler, x = Sampler(DDIM(), Uniform(20)), images()

    class Same(Noise):  # the latents' noise is the encoded noise of pixels
        def stream(self, key):
            plain = Noise.stream(self, key)
            return lambda z: codec.encode(plain(codec.decode(z)))

    pixel = sdedit(law.score(sde), sampler, 0.5)(x, Noise(0, ["a", "b"]))
    latent = Latent(sdedit(law.score(sde), sampler, 0.5), codec)
    assert torch.allclose(latent(x, Same(0, ["a", "b"])), pixel, atol=1e-5)
    assert latent.steps == 10
    *_, (_, _, last) = latent.trajectory(x, Same(0, ["a", "b"]))
    assert torch.allclose(last, pixel, atol=1e-5)


def test_a_decoded_energy_is_the_energy_of_pixels():
    sde, codec, x = VP(), BlockDCT(2), images().double()
    y, t = codec.encode(images().double().flip(-1)), f64(0.4)
    energy = LowPassL2(4)
    source = Source(codec.encode(x), sde, Noise(0, ["a", "b"]))
    eps = codec.decode(source.at(t)) - sde.alpha(t) * x
    pixels = Source(x, sde, Noise(0, ["a", "b"]))
    pixels._start_eps = eps / sde.sigma(t)
    decoded = Decoded(energy, codec)
    assert torch.allclose(decoded(y, t, source), energy(codec.decode(y), t, pixels))
    expected = codec.encode(energy.grad(codec.decode(y), t, pixels))
    assert torch.allclose(decoded.grad(y, t, source), expected)


def test_a_mask_keeps_a_latent_only_where_all_pixels_are_kept():
    mask = torch.ones(1, 1, 4, 4)
    mask[..., 0, 0] = 0
    shrunk = Latent(None, BlockDCT(2))._shrunk({"mask": mask})["mask"]
    assert shrunk.tolist() == [[[[0, 1], [1, 1]]]]
    with pytest.raises(ValueError, match="divides"):
        Latent(None, BlockDCT(4))(images(side=6), Noise(0, ["a", "b"]))


def latent_networks(folder) -> list[str]:
    """A random score and classifier of the latents of BlockDCT(2) at 16 px, by their settings."""
    given, fits = [], {"image_size": 8, "in_channels": 12}
    score = SCORE | fits | {"out_channels": 12}
    for name, kind, network, prediction in (
        ("score", "score", score, {"class": "Eps"}),
        ("extractor", "classifier", CLASSIFIER | fits, None),
    ):
        torch.manual_seed(len(name))
        made = instantiate(network)
        for parameter in made.parameters():
            torch.nn.init.normal_(parameter, std=0.02)
        config = {"kind": kind, "network": network, "sde": SDE, "prediction": prediction}
        config["space"] = BlockDCT(2).mark
        save_weights(folder / f"{name}.safetensors", {"averaged": made}, config)
        given.append(f"{name}.weights={folder / name}.safetensors")
    return given


@pytest.mark.slow
@pytest.mark.parametrize(
    "method",
    ["sdedit", "egsde", "egsde_fast", "ddib", "ddib_egsde", "cycle_diffusion", "cycle_egsde",
     "ilvr", "ccdf", "sddm", "repaint", "inpaint", "classifier_guidance", "dps", "freedom",
     "generate"],
)  # fmt: skip
def test_every_method_goes_through_latents(tmp_path, method):
    """By its own settings; those that keep pixels keep the blocks whose latents a mask keeps."""
    given = latent_networks(tmp_path)
    needs = {"sddm": ["translator.blocks=4"], "dps": ["translator.scale=0.001"]}.get(method, [])
    if method.startswith(("ddib", "cycle")):
        needs = [f"source_{given[0]}"]
    translator = build_translator(composed(
        "sample", tmp_path, "experiment=none", f"translator={method}", "codec=dct", "data.size=16",
        "factor=2", "sampler.grid.steps=20", *given, *needs,
    ))  # fmt: skip
    assert type(translator) is Latent
    x, mask = images(2, 16), torch.ones(2, 1, 16, 16)
    mask[..., 5:11, 5:11] = 0
    y = translator(x, Noise(0, ["a", "b"]), mask=mask)
    assert y.shape == x.shape and y.isfinite().all() and not torch.equal(x, y)
    if method in ("repaint", "inpaint"):
        changed = (y - x).abs().amax(1, keepdim=True) > 1e-4
        assert not changed[..., :4, :].any() and changed[..., 5:11, 5:11].any()


@pytest.mark.slow
@pytest.mark.parametrize("codes", [None, 16])
def test_an_autoencoder_is_trained_kept_and_run(tmp_path, codes):
    """train.py model=autoencoder, a score in its space, and sample.py's translator, from files."""
    small = ["network.ch=32", "network.ch_mult=[1,1]", "network.z_channels=2"]
    network = "autoencoder" if codes is None else "autoencoder_vq"
    more = [] if codes is None else [f"network.codes={codes}"]
    drop = ("network", "callbacks", "translate", "sampler")
    trained(tmp_path / "ae", "model=autoencoder", f"network={network}", *small, *more, drop=drop)
    file = str(tmp_path / "ae/weights.safetensors")
    codec = load_codec(file)
    assert codec.factor == 2 and codec.scale != 1
    x = images(4, 16)
    z = codec.encode(x)
    assert z.shape == (4, 2, 8, 8)
    assert torch.equal(codec.decode(z), codec.net.decode(z / codec.scale))
    kind = "kl" if codes is None else "vq"
    score = ["model=score", f"codec={kind}", f"codec.weights={file}", "translate=null"]
    fits = ["network.image_size=8", "++network.in_channels=2", "++network.out_channels=2"]
    dropped = ("callbacks", "translate", "sampler")
    with pytest.raises(ValueError, match="network.in_channels=2 .*network.out_channels=2"):
        trained(tmp_path / "wrong", *score, drop=dropped)
    trained(tmp_path / "score", *score, *fits, drop=dropped)
    weights = tmp_path / "score/weights.safetensors"
    with pytest.raises(ValueError, match="give the codec= of its training"):
        egsde.load(weights, "data.size=16")
    given = [f"codec={kind}", f"codec.weights={file}", "data.size=16", "sampler.grid.steps=10"]
    y = egsde.load(weights, *given).translate(x)
    assert y.shape == x.shape and not torch.equal(y, x)


def test_a_judge_of_patches_and_a_perceptual_distance(tmp_path):
    """Both learn from the first step that there is a game; its weight makes the gradients at the
    last weights alike."""
    small = ["network.ch=32", "network.ch_mult=[1,1]", "network.z_channels=2"]
    drop = ("network", "callbacks", "translate", "sampler")
    torch.save(squeezenet1_1(weights=None).state_dict(), tmp_path / "squeeze.pth")
    out = tmp_path / "ae"
    trained(
        out, "model=autoencoder", *small, "discriminator=patch", "discriminator.width=8",
        "module.start=3", "perceptual=lpips", "perceptual.net=squeeze",
        f"perceptual.weights={tmp_path / 'squeeze.pth'}",
        "perceptual.side=32", drop=drop,
    )  # fmt: skip
    judged = [row.get("train/judge") for row in rows(out) if "train/loss" in row]
    assert judged[:3] == [None] * 3 and all(value > 0 for value in judged[3:])
    assert load_codec(out / "weights.safetensors").factor == 2  # without the judge
    net = Autoencoder(16, ch=32, ch_mult=[1, 1], z_channels=2)
    module = AutoencoderModule(
        net, torch.optim.AdamW, Constant(), discriminator=PatchGAN(3, width=8, layers=2), start=0
    )
    x = images(2, 16)
    last = net.decoder[-1].weight
    y = net(x)
    far = (x - y).abs().mean()
    game = module.contest(net, x, y, far)
    ours, theirs = (torch.autograd.grad(v, last, retain_graph=True)[0].norm() for v in (far, game))
    assert torch.allclose(theirs, 0.5 * ours, rtol=1e-2)
    held = torch.autograd.grad(game, module.discriminator.parameters(), retain_graph=True)
    judged = module.game.judge(module.discriminator(x), module.discriminator(y.detach()))
    alone = torch.autograd.grad(judged, module.discriminator.parameters())
    assert all(torch.allclose(a, b) for a, b in zip(held, alone, strict=True))
    assert len(list(module.learned())) > len(list(net.parameters()))


def test_an_exact_linear_autoencoder_keeps_its_scale():
    """scale is 1 / the root of the mean square, so that latents have a second moment of 1."""
    torch.manual_seed(0)
    net = Autoencoder(8, ch=32, ch_mult=[1, 1], z_channels=2)
    with torch.no_grad():
        net.scale.fill_(float(net.moments(images(64))[0].square().mean().rsqrt()))
        z = Learned(net, 2, float(net.scale)).encode(images(64))
    assert float(z.square().mean()) == pytest.approx(1, abs=1e-5)


def test_an_autoencoder_of_diffusers(tmp_path):
    diffusers = pytest.importorskip("diffusers")
    torch.manual_seed(0)
    vae = diffusers.AutoencoderKL(
        block_out_channels=(32, 32), down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2, latent_channels=4, norm_num_groups=8,
        scaling_factor=0.5,
    ).eval()  # fmt: skip
    vae.save_pretrained(tmp_path / "vae")
    codec = load_diffusers_codec(tmp_path)
    x = images()
    with torch.no_grad():
        mean = vae.encode(x).latent_dist.mean
        assert torch.allclose(codec.encode(x), 0.5 * mean, atol=1e-6)
        assert torch.allclose(codec.decode(codec.encode(x)), vae.decode(mean).sample, atol=1e-5)
    assert codec.factor == 2
    file = tmp_path / "vae/diffusion_pytorch_model.safetensors"
    one = load_diffusers_codec(file, config=tmp_path)
    assert torch.allclose(one.encode(x), codec.encode(x), atol=1e-6) and one.scale == 0.5
    with pytest.raises(ValueError, match=r"codec\.config=DIR"):
        load_diffusers_codec(file)
    for given in (file, tmp_path):  # neither holds a record of ours
        with pytest.raises(ValueError, match=r"codec=diffusers codec\.weights=DIR"):
            load_codec(given)
    with pytest.raises(ValueError, match="AutoencoderKL"):
        (tmp_path / "vae/config.json").write_text('{"_class_name": "VQModel"}')
        load_diffusers_codec(tmp_path)


def test_egsde_in_latents_feels_its_energy():
    """With a strong faithfulness on decoded images the result's low pass nears the source's."""
    sde, law, codec, x = VP(), Gaussian(0.5, 0.05), BlockDCT(2), images()
    sampler, noise = Sampler(EulerMaruyama(), Uniform(200)), Noise(0, ["a", "b"])
    far = []
    for weight in (0.0, 30.0):
        energy = weight * Decoded(LowPassL2(8), codec)
        y = Latent(guided_sde(law.score(sde), sampler, energy, 0.5), codec)(x, noise)
        far.append(float((y - x).mean((2, 3)).abs().mean()))
    assert far[1] < 0.5 * far[0]
    assert Identity().decode(Identity().encode(x)) is x
