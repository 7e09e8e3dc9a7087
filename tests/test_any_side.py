"""Sides that networks do not divide: padded and cut off, in a codec's latents, too."""

from __future__ import annotations

import pytest
import torch

from egsde.codecs import BlockDCT, Latent
from egsde.methods import sdedit
from egsde.methods.diffusion import OnePass
from egsde.networks import ADMUNet, ResNetGenerator, UNetGenerator
from egsde.noise import Noise
from egsde.programs.export import written
from egsde.programs.formats import FORMATS
from egsde.programs.graphs import TranslatorGraph
from egsde.programs.multiples import multiple_of, padded
from egsde.sampling import Sampler, Uniform
from egsde.scores import ScoreModel
from egsde.sde import DDPM
from egsde.solvers import DDIM
from folders import fill
from runs import command


def latent() -> Latent:
    """A network that halves once, of latents of half of the side."""
    net = ADMUNet(8, in_channels=12, out_channels=12, num_channels=32, channel_mult=[1, 1],
                  num_res_blocks=1, attention_resolutions=[], num_head_channels=32)  # fmt: skip
    return Latent(sdedit(ScoreModel(net.eval(), DDPM()), Sampler(DDIM(), Uniform(4))), BlockDCT(2))


@pytest.mark.parametrize(
    ("translator", "multiple"),
    [
        (latent, 4),
        (lambda: OnePass(ResNetGenerator(width=4, blocks=1).eval()), 4),
        (lambda: OnePass(UNetGenerator(width=4, halvings=3).eval()), 8),
    ],
)
def test_any_sides_are_translated(translator, multiple):
    run, x = translator(), torch.rand(1, 3, 11, 18) * 2 - 1
    assert multiple_of(run) == multiple
    with torch.no_grad():
        y = padded(run)(x, Noise(0, ["a"]))
        below, right = -11 % multiple, -18 % multiple
        wide = torch.nn.functional.pad(x, (0, right, 0, below), mode="replicate")
        assert torch.equal(y, run(wide, Noise(0, ["a"]))[..., :11, :18])


def test_a_translator_of_latents_is_one_graph(tmp_path):
    graph = TranslatorGraph(latent()).eval()
    about = {"kind": "translator", "size": [16, 16], "channels": 3, "multiple": 4, "T": 1.0}
    path, _, worst = written(graph, FORMATS["torchscript"], tmp_path, about)
    x, z = torch.rand(3, 3, 16, 16) * 2 - 1, torch.randn(3, 12, 8, 8)
    assert worst < 1e-4
    with torch.no_grad():
        assert torch.allclose(torch.jit.load(str(path))(x, z), graph(x, z), atol=1e-4)


def test_a_diffusion_gan_of_own_folders_comes_to_its_weights(tmp_path, capsys):
    """Its start stands in another place of the configuration than those of other translators."""
    fill(tmp_path / "a/test", 1)
    fill(tmp_path / "b/test", 1, start=9)
    given = [f"data.source={tmp_path / 'a'}", f"data.target={tmp_path / 'b'}", "data.size=8"]
    given += ["translator=ddgan", f"translator.weights={tmp_path / 'w.safetensors'}"]
    assert command("sample", "data=folder", *given, f"out={tmp_path / 'out'}") == 1
    told = capsys.readouterr()
    assert "no weights at" in told.err and "t_start=0.5" in told.out + told.err
