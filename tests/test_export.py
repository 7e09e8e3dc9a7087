"""Exported files compute what PyTorch does, at batches and sizes that they were not made with."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from egsde import load
from egsde.codecs import load_codec
from egsde.energies import LowPassL2
from egsde.methods import egsde, sdedit
from egsde.networks import ADMEncoder, ADMUNet, Autoencoder, ResNetGenerator
from egsde.noise import Noise
from egsde.programs.export import export, written
from egsde.programs.formats import FORMATS
from egsde.programs.graphs import Given, ScoreGraph, TranslatorGraph
from egsde.sampling import Sampler, Uniform
from egsde.scores import ScoreModel
from egsde.scores.container import save_weights
from egsde.scores.files import load_score
from egsde.sde import DDPM, VP
from egsde.solvers import DDIM, Ancestral
from problems import f64
from runs import composed

NETWORK = {"image_size": 8, "num_channels": 32, "channel_mult": [1], "num_res_blocks": 1,
           "attention_resolutions": [], "num_head_channels": 32}  # fmt: skip
ENCODER = {"image_size": 8, "width": 32, "depth": 1, "channel_mult": [1],
           "attention_resolutions": [], "num_head_channels": 32}  # fmt: skip
PREDICTION = {"_target_": "egsde.scores.predictions.VPrediction"}
DATA = {"source": "flat", "target": "3d", "size": 8}


class Small(torch.nn.Module):
    """A network of two convolutions that sees the time."""

    multiple = 2

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = (torch.nn.Conv2d(*c, 3, padding=1) for c in ((3, 8), (8, 3)))

    def forward(self, x, t):
        return self.last(torch.sin(self.first(x) + t[:, None, None, None] / 100))


def filled(net: torch.nn.Module) -> torch.nn.Module:
    torch.manual_seed(0)
    for parameter in net.parameters():
        parameter.data.normal_(0, 0.1)
    return net.eval()


def saved(path: Path, kind: str, net: torch.nn.Module, options: dict) -> Path:
    config = {
        "kind": kind,
        "network": {"_target_": f"egsde.networks.{type(net).__name__}", **options},
        "sde": None if kind in ("generator", "autoencoder") else {"_target_": "egsde.sde.DDPM"},
        "prediction": PREDICTION if kind in ("score", "labelled", "bridge") else None,
        "data": DATA,
        "seed": 0,
    }  # fmt: skip
    inside = torch.nn.ModuleDict({"to_y": filled(net)}) if kind == "generator" else filled(net)
    save_weights(path, {"averaged": inside}, config)
    return path


def about(**more) -> dict:
    return {"kind": "score", "size": [8, 8], "channels": 3, "multiple": 2, "T": 1.0, **more}


@pytest.mark.parametrize("sde", [DDPM(), pytest.param(VP(), marks=pytest.mark.slow)], ids=repr)
@pytest.mark.parametrize("form", FORMATS)
def test_a_score_is_the_same_in_every_format(form, sde, tmp_path):
    if form == "onnx":
        pytest.importorskip("onnxruntime")
    graph = ScoreGraph(ScoreModel(filled(Small()), sde)).eval()
    described = about(levels=sde.levels, licence="free")
    path, dynamic, worst = written(graph, FORMATS[form], tmp_path, described)
    assert dynamic and worst < 1e-5
    x, t = torch.randn(5, 3, 12, 6), torch.tensor([0.1, 0.2, 0.5, 0.75, 1.0])
    score, x0, eps = map(torch.from_numpy, FORMATS[form].read(path)([x.numpy(), t.numpy()]))
    model = ScoreModel(graph.model.net, sde)
    for i, time in enumerate(t.double()):  # the loop's own way: one time, 0-d, float64
        now = x[i : i + 1]
        wanted = model(now, time)
        noise = (-sde.sigma(time) * wanted).float()
        clean = sde.denoised(now, time, wanted).float()
        assert torch.allclose(score[i : i + 1], wanted, rtol=1e-4, atol=1e-4)
        assert torch.allclose(eps[i : i + 1], noise, rtol=1e-4, atol=1e-4)
        assert torch.allclose(x0[i : i + 1], clean, rtol=1e-3, atol=1e-3)  # alpha(1) is 0.006


@pytest.mark.slow
@pytest.mark.parametrize("form", FORMATS)
def test_a_whole_translator_is_one_graph(form, tmp_path):
    """With an energy of a low pass, whose matrices fix the size."""
    if form == "onnx":
        pytest.importorskip("onnxruntime")
    sde = DDPM()
    score = ScoreModel(filled(Small()), sde)
    sampler = Sampler(DDIM(), Uniform(4))
    free = sdedit(score, sampler, t_start=0.5)
    held = egsde(score, sampler, 2 * LowPassL2(4), t_start=0.5)
    x0, noise = torch.rand(3, 3, 8, 8) * 2 - 1, torch.randn(3, 3, 8, 8)
    for name, translator in (("free", free), ("held", held)):
        path, dynamic, worst = written(
            TranslatorGraph(translator).eval(),
            FORMATS[form],
            tmp_path,
            about(kind=name, multiple=4),
        )
        assert worst < 1e-4 and (dynamic or name == "held")
        (y,) = FORMATS[form].read(path)([x0.numpy(), noise.numpy()])
        assert np.abs(y - translator(x0, Given(noise)).numpy()).max() < 1e-4


def test_a_translator_that_draws_noise_is_refused(tmp_path):
    sde = DDPM()
    drawing = sdedit(ScoreModel(Small(), sde), Sampler(Ancestral(), Uniform(4)))
    with pytest.raises(ValueError, match="sampler=ddim"):
        written(TranslatorGraph(drawing), FORMATS["torchscript"], tmp_path, about())


def test_the_program_writes_what_a_file_holds(tmp_path, capsys):
    score = saved(tmp_path / "s.safetensors", "score", ADMUNet(**NETWORK), NETWORK)
    options = ["format=torchscript", f"weights={score}", "licence=CC0"]
    export(composed("export", tmp_path / "out", *options))
    extra = {"egsde.json": ""}
    torch.jit.load(str(tmp_path / "out" / "score.pt"), _extra_files=extra)
    told = json.loads(extra["egsde.json"])
    assert json.loads(told["domains"]) == ["flat", "3d"] and told["licence"] == "CC0"
    assert json.loads(told["range"]) is None and json.loads(told["inputs"]) == ["x", "t"]
    alpha = torch.tensor(json.loads(told["alpha"]), dtype=torch.float64)
    assert torch.equal(alpha, DDPM().alpha(torch.arange(1001, dtype=torch.float64) / 1000))
    assert "free" in capsys.readouterr().out
    classifier = saved(tmp_path / "c.safetensors", "classifier", ADMEncoder(**ENCODER), ENCODER)
    export(composed("export", tmp_path / "c", "format=torchscript", f"weights={classifier}"))
    assert (tmp_path / "c" / "classifier.pt").is_file()
    with pytest.raises(ValueError, match="did you mean format=onnx"):
        export(composed("export", tmp_path / "d", "format=onx", f"weights={score}"))


def test_weights_that_translate_by_themselves_are_a_whole_translator(tmp_path):
    options = {"width": 4, "blocks": 1}
    generator = ResNetGenerator(**options)
    file = saved(tmp_path / "g.safetensors", "generator", generator, options)
    export(composed("export", tmp_path / "out", "format=torchscript", f"weights={file}"))
    extra = {"egsde.json": ""}
    graph = torch.jit.load(str(tmp_path / "out" / "translator.pt"), _extra_files=extra)
    x = torch.rand(3, 3, 12, 8) * 2 - 1
    with torch.no_grad():
        assert torch.allclose(graph(x, torch.zeros_like(x)), generator.eval()(x), atol=1e-5)
    assert json.loads(json.loads(extra["egsde.json"])["domains"]) == ["flat", "3d"]


def test_a_score_of_several_domains_is_the_one_that_it_is_told(tmp_path):
    options = NETWORK | {"class_cond": True, "num_class": 2}
    file = saved(tmp_path / "b.safetensors", "labelled", filled(ADMUNet(**options)), options)
    x, t = torch.randn(2, 3, 8, 8), f64([0.3, 0.3])
    for given, name in (([], "3d"), (["score.label=flat"], "flat")):
        out = tmp_path / name
        export(composed("export", out, "format=torchscript", f"weights={file}", *given))
        extra = {"egsde.json": ""}
        graph = torch.jit.load(str(out / "score.pt"), _extra_files=extra)
        expected = load_score(file, DDPM(), label=name)(x, t[0])
        assert torch.allclose(graph(x, t)[0], expected, rtol=1e-4)
        assert json.loads(extra["egsde.json"])["makes"] == name


def test_a_bridge_is_refused_for_its_noise_but_its_first_guess_is_a_graph(tmp_path):
    """By its kind: DDIM's steps along a bridge would be a graph, of another law."""
    file = saved(tmp_path / "b.safetensors", "bridge", ADMUNet(**NETWORK), NETWORK)
    options = ["format=torchscript", "translator=i2sb", f"translator.weights={file}"]
    options += ["data.size=8", "energy=none"]
    words = "kind bridge draw noise at every step.*at_once.*flow_matching"
    for k, given in enumerate((["format=torchscript", f"weights={file}"], options)):
        with pytest.raises(ValueError, match=words):
            export(composed("export", tmp_path / f"out{k}", *given))
    export(composed("export", tmp_path / "guess", *options, "sampler=at_once"))
    graph = torch.jit.load(str(tmp_path / "guess" / "translator.pt"))
    x0, noise = torch.rand(2, 3, 8, 8) * 2 - 1, torch.randn(2, 3, 8, 8)
    expected = load(file, "sampler=at_once").translator(x0, Noise(0, ["a", "b"]))
    assert (expected.abs() < 0.99).float().mean() > 0.5  # few are clipped
    for given in (noise, -noise):
        assert torch.allclose(graph(x0, given), expected, atol=1e-5)


AUTOENCODER = {"image_size": 8, "ch": 32, "ch_mult": [1, 1], "z_channels": 2}


@pytest.mark.parametrize("form", ["torchscript", pytest.param("onnx", marks=pytest.mark.slow)])
def test_an_autoencoder_is_an_encoder_and_a_decoder(form, tmp_path):
    if form == "onnx":
        pytest.importorskip("onnxruntime")
    net = Autoencoder(**AUTOENCODER)
    file = saved(tmp_path / "a.safetensors", "autoencoder", net, AUTOENCODER)
    export(composed("export", tmp_path / "out", f"format={form}", f"weights={file}"))
    codec, x = load_codec(file), torch.rand(3, 3, 8, 12) * 2 - 1
    made = [tmp_path / "out" / f"{half}{FORMATS[form].suffix}" for half in ("encoder", "decoder")]
    encoded, decoded = map(FORMATS[form].read, made)
    with torch.no_grad():
        z = codec.encode(x)
        assert np.abs(encoded([x.numpy()])[0] - z.numpy()).max() < 1e-4
        assert np.abs(decoded([z.numpy()])[0] - codec.decode(z).numpy()).max() < 1e-4


@pytest.mark.slow
def test_the_example_translates_without_torch(tmp_path):
    """examples/onnx_translate.py, with onnxruntime and NumPy, and no torch to import."""
    pytest.importorskip("onnxruntime")
    from PIL import Image

    score = saved(tmp_path / "s.safetensors", "score", ADMUNet(**NETWORK), NETWORK)
    export(composed("export", tmp_path, f"weights={score}"))
    picture = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    Image.fromarray(picture).save(tmp_path / "in.png")
    program = Path(__file__).parents[1] / "examples" / "onnx_translate.py"
    code = "import sys, runpy; sys.modules['torch'] = None; sys.argv.pop(0); "
    code += "runpy.run_path(sys.argv[0], run_name='__main__')"
    given = [str(tmp_path / "score.onnx"), str(tmp_path / "in.png"), str(tmp_path / "out.png")]
    subprocess.run([sys.executable, "-c", code, str(program), *given], check=True)
    made = np.asarray(Image.open(tmp_path / "out.png")).astype(float)
    from egsde.scores.files import load_score

    sde = DDPM()
    x0 = torch.from_numpy(picture).permute(2, 0, 1)[None] / 127.5 - 1
    noise = torch.from_numpy(np.random.default_rng(0).standard_normal((1, 3, 8, 8)).astype("f4"))
    same = sdedit(load_score(str(score), sde), Sampler(DDIM(), Uniform(50)), t_start=0.5)
    y = ((same(x0, Given(noise))[0].permute(1, 2, 0) + 1) * 127.5).round().clamp(0, 255)
    assert np.abs(made - y.numpy()).max() <= 1
