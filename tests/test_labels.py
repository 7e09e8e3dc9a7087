"""One network for several labels: exact scores, guidance away from a weaker one, one training."""

from __future__ import annotations

import pytest
import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf
from torch import nn

import egsde
from egsde.data.toy import MODES, SPREAD
from egsde.methods import ddib, generate
from egsde.networks import MLP, ADMUNet
from egsde.noise import Noise
from egsde.programs.initial import initialise
from egsde.sampling import Sampler
from egsde.sampling.grids import Uniform
from egsde.scores import Extrapolated, LabelledScore, ScoreModel
from egsde.scores.container import find, read_weights, save_weights
from egsde.scores.files import load_score, load_source_score, official_score
from egsde.scores.record import class_of
from egsde.scores.told import TABLE, Told, alone
from egsde.sde import DDPM, VP
from egsde.solvers import DDIM
from egsde.solvers.rk45 import RK45
from problems import Gaussian, f64
from runs import command, composed, trained

DOMAINS = (Gaussian(-1.0, 0.25), Gaussian(1.0, 0.04))


class Exact(nn.Module):
    """eps of N(mean, variance), a law for each label and a wide one for none."""

    def __init__(self, sde: VP, laws: tuple[Gaussian, ...]) -> None:
        super().__init__()
        self.sde, self.laws = sde, laws
        self.label_emb = nn.Embedding(len(laws), 1)

    def forward(self, x, time, label):
        t = time[0].double() / 999
        scores = torch.stack([law.score(self.sde)(x, t) for law in self.laws])
        return -self.sde.sigma(t) * scores[label, torch.arange(len(x))]


@pytest.fixture
def score() -> LabelledScore:
    sde = VP()
    return LabelledScore(Exact(sde, (*DOMAINS, Gaussian(0.0, 4.0))), sde)


def points() -> torch.Tensor:
    return torch.linspace(-2, 2, 9, dtype=torch.float64).view(9, 1, 1, 1)


def test_a_label_gives_its_score(score):
    x, t = points(), f64(0.3)
    for place, law in enumerate(DOMAINS):
        assert torch.allclose(score.given(place)(x, t), law.score(score.sde)(x, t))
    both = score.given(torch.tensor([0, 1] * 4 + [0]))(x, t)
    assert torch.equal(both[::2], score.given(0)(x, t)[::2])
    assert torch.equal(both[1::2], score.given(1)(x, t)[1::2])


def test_classifier_free_guidance_is_the_tilted_law(score):
    """p(x|y)^w / p(x)^(w-1) of Gaussians is a Gaussian at every time: its score is linear."""
    x, t, scale = points(), f64(0.3), 3.0
    found = Extrapolated(score.given(0), score.given(2), scale)(x, t)
    (mean, variance), (m0, v0) = (
        law.moments(score.sde, t) for law in (DOMAINS[0], Gaussian(0.0, 4.0))
    )
    precision = scale / variance - (scale - 1) / v0
    centre = (scale * mean / variance - (scale - 1) * m0 / v0) / precision
    assert torch.allclose(found, -(x - centre) * precision)
    alone, asked = score.given(0), score.given(2)
    assert torch.equal(Extrapolated(alone, asked, 1)(x, t), alone(x, t))
    assert (alone.calls, asked.calls) == (2, 0)  # a scale of 1 does not ask the weaker one


def test_ddib_between_labels_is_the_map_of_gaussians(score):
    """The flow of N(m, v) to noise and back down to N(n, w): n + sqrt(w / v) (x - m)."""
    (a, b), x = DOMAINS, points()
    sampler = Sampler(RK45(1e-7, 1e-7), Uniform(1), denoise=False)
    y = ddib(score.given(1), sampler, score.given(0))(x, Noise(0, list("123456789")))
    expected = b.mean + (b.variance / a.variance) ** 0.5 * (x - a.mean)
    assert (y - expected).abs().max() < 5e-3  # the walk ends at t = 1e-3, not at 0


def test_labels_that_are_not_there(score):
    with pytest.raises(ValueError, match=r"0 \.\. 2"):
        score.given(3)
    with pytest.raises(ValueError, match="given"):
        score(points(), f64(0.3))
    with pytest.raises(ValueError, match="needs label"):
        net = ADMUNet(8, num_channels=32, channel_mult=[1], class_cond=True, num_class=2,
                      num_head_channels=32, attention_resolutions=[])  # fmt: skip
        ScoreModel(net, DDPM())(torch.zeros(1, 3, 8, 8), f64(0.5))


def test_a_published_class_conditional_network(tmp_path):
    config = dict(image_size=8, num_channels=32, channel_mult=[1], num_res_blocks=1,
                  attention_resolutions=[], learn_sigma=True, num_class=5,
                  num_head_channels=32)  # fmt: skip
    torch.manual_seed(0)
    net = ADMUNet(**config, class_cond=True)
    for parameter in net.parameters():
        nn.init.normal_(parameter, std=0.1)
    torch.save(net.state_dict(), tmp_path / "net.pt")
    given = ("adm", config | {"class_cond": True}, str(tmp_path / "net.pt"), DDPM())
    x, t = torch.randn(2, 3, 8, 8), f64(0.5)
    a, b = (official_score(*given, label=label) for label in (1, 4))
    assert (a(x, t) - b(x, t)).abs().max() > 1e-3
    with torch.no_grad():
        eps = net.eval()(x, torch.full((2,), 499.0), torch.tensor([4, 4]))[:, :3]
    assert torch.allclose(b(x, t), (-eps / DDPM().sigma(t)).float(), atol=1e-5)
    with pytest.raises(ValueError, match=r"score\.label=0 \.\. 4"):
        official_score(*given)
    torch.save(ADMUNet(**config).state_dict(), tmp_path / "net.pt")
    with pytest.raises(ValueError, match="no labels"):
        official_score("adm", config, str(tmp_path / "net.pt"), DDPM(), label=1)


def test_a_network_told_a_label_is_one_without_labels():
    torch.manual_seed(0)
    net = ADMUNet(8, num_channels=32, channel_mult=[1], class_cond=True, num_class=3,
                  num_head_channels=32, attention_resolutions=[]).double()  # fmt: skip
    for parameter in net.parameters():
        nn.init.normal_(parameter, std=0.1)
    x, t = torch.randn(2, 3, 8, 8, dtype=torch.float64), f64([100.0, 700.0])
    for label in range(3):
        one = alone(net, label)
        assert one.label_emb is None and net.label_emb is not None
        assert (one(x, t) - net(x, t, torch.full((2,), label))).abs().max() < 1e-12
    with pytest.raises(ValueError, match="label_emb"):
        alone(one, 0)
    with pytest.raises(ValueError, match="knows 3"):
        alone(net, 3)


BOTH = "demo/flat_and_3d.safetensors"
RECORD = {"data": {"source": "a/cats", "extra": ["b/wild"], "target": "dogs.zip"}, "file": "FILE"}


@pytest.mark.parametrize(
    ("told", "place"),
    [
        (Told(), 2), (Told("source"), 0),
        (Told(domain="other/wild"), 1), (Told("source", domain="dogs"), 2),
        (Told(domain="foxes"), 2), (Told("source", domain="photo.png"), 0),
        (Told(domain="dogs", label="cats"), 0), (Told(label=1), 1), (Told(label="source"), 0),
    ],
)  # fmt: skip
def test_which_domain_a_file_of_several_makes(told, place):
    """The run's by its name, else the file's own of that side, unless a label is asked."""
    assert told.place(RECORD) == place


@pytest.mark.parametrize(
    ("domains", "told", "place"),
    [
        (("cats/images", "dogs/images"), Told(domain="dogs/images"), 1),
        (("cats/images", "dogs/images"), Told(domain="/moved/cats/images"), 0),
        (("cats/images", "dogs/images"), Told("source", domain="images"), 0),
        (("cats/images", "dogs/images"), Told(domain="images"), 1),
        (("3", "8"), Told(label=3), 0), (("3", "8"), Told(label=1), 1),
        (("1", "0"), Told(label=0), 1),  # a name before a place
        (("target", "source"), Told(domain="target"), 0),
        (("target", "source"), Told(domain="its target"), 1),
        (("target", "source"), Told(label="source"), 1),
        (("cafe\u0301", "the\u0301"), Told(label="th\u00e9"), 1),
    ],
)  # fmt: skip
def test_domains_whose_names_are_alike_or_odd(domains, told, place):
    """The end of the path that is one's alone says which; where nothing does, the side."""
    record = {"data": dict(zip(("source", "target"), domains, strict=True)), "file": "FILE"}
    assert told.place(record) == place
    named = class_of(record, told.domain)
    assert told.label is not None or named in (-1, place)


@pytest.mark.parametrize("label", ["foxes", 3, -1])
def test_a_domain_that_the_file_does_not_know(label):
    words = rf"source_score.label={label}: FILE knows cats, wild, dogs \(0 .. 2\)"
    with pytest.raises(ValueError, match=words):
        Told("source", label=label).place(RECORD)


def test_the_file_of_both_domains_gives_the_source_score_too(tmp_path):
    """The target's file where it knows both, else what stands in for it, else words."""
    cfg = composed("sample", tmp_path, "translator=ddib", "score.weights=mine.safetensors")
    mine = tmp_path / "mine.safetensors"
    assert (cfg.source_score.beside, cfg.source_score.otherwise) == (mine.name, BOTH)
    (network := MLP(width=16, depth=1)).eval()
    config = {"kind": "score", "network": {"class": "MLP", "width": 16, "depth": 1},
              "sde": {"class": "DDPM"}, "prediction": {"class": "Eps"}}  # fmt: skip
    save_weights(mine, {"averaged": network}, config)
    for beside, otherwise in ((BOTH, None), (str(mine), BOTH), (None, BOTH)):
        found = load_source_score(None, DDPM(), domain="flat", beside=beside, otherwise=otherwise)
        assert found.net.record["label"] == 0 and found.net.record["side"] == "source"
    for label, guidance in (("flat", 1.0), (None, 2.0)):
        with pytest.raises(ValueError, match="mine.safetensors knows one domain only"):
            load_score(mine, DDPM(), label=label, guidance=guidance)
    with pytest.raises(ValueError, match="domains exchanged.*model=labelled"):
        load_source_score(None, DDPM(), beside=str(mine))


def test_a_score_of_one_domain_starts_as_that_of_a_file_of_several(tmp_path):
    x, t = torch.randn(1, 3, 64, 64), f64(0.3)
    for ends, label in (((), "3d"), (("data.source=3d", "data.target=flat"), "flat")):
        cfg = composed("train", tmp_path, "network=folded_64", *ends)
        module = instantiate(cfg.module)
        module.config = OmegaConf.to_container(cfg, resolve=True)
        initialise(module, BOTH)
        expected = load_score(BOTH, label=label)(x, t)
        assert (module.averaged(x, t) - expected).abs().max() < 1e-5 * expected.abs().max()


def test_labels_go_by_their_names_from_one_training_to_another(tmp_path):
    """The same two domains exchanged: each starts as itself, and so does no label at all."""
    cfg = composed("train", tmp_path, "model=labelled", "network=folded_64",
                   "data.source=3d", "data.target=flat")  # fmt: skip
    module = instantiate(cfg.module)
    module.config = OmegaConf.to_container(cfg, resolve=True)
    initialise(module, BOTH)
    before = read_weights(find(BOTH, "weights"), "averaged")[TABLE]
    assert torch.equal(module.network.label_emb.weight, before[[1, 0, 2]])


@pytest.mark.parametrize(
    "names", [("target", "source"), ("photos/'cats\\", "it, [x]=y"), ("${oc.env:HOME}", "a\nb")]
)
def test_a_file_by_itself_makes_its_own_target(tmp_path, names):
    """Whatever its domains are called; what is no plain name is not composed."""
    data = dict(zip(("source", "target"), names, strict=True))
    net = ADMUNet(8, num_channels=32, channel_mult=[1], class_cond=True, num_class=2,
                  num_head_channels=32, attention_resolutions=[])  # fmt: skip
    network = {"class": "ADMUNet", "image_size": 8, "num_channels": 32, "channel_mult": [1],
               "class_cond": True, "num_class": 2, "num_head_channels": 32,
               "attention_resolutions": []}  # fmt: skip
    config = {"kind": "labelled", "network": network, "sde": {"class": "DDPM"},
              "prediction": {"class": "Eps"}, "data": data}  # fmt: skip
    save_weights(tmp_path / "w.safetensors", {"averaged": net}, config)
    loaded = egsde.load(tmp_path / "w.safetensors")
    found = loaded.config["data"]
    assert loaded.translator.score.net.record["label"] == 1
    plain = "$" not in names[0]
    assert (found["source"], found["target"]) == (names if plain else ("its source", "its target"))


@pytest.mark.slow
def test_one_training_learns_both_domains(tmp_path):
    """Points of two far apart domains: each label makes its own, guided and not."""
    trained(
        tmp_path, "model=labelled", "data=toy", "sde=vp", "network=mlp", "network.width=32",
        "network.depth=1", "trainer.max_steps=400", "trainer.val_check_interval=400",
        "data.batch_size=256", "data.source=modes", "data.target=moons",
        "module.optimizer.lr=0.01", "module.ema_decay=0.98",
        drop=("network", "data", "limit", "trainer.max_steps", "trainer.val_check"),
    )  # fmt: skip
    file = str(tmp_path / "weights.safetensors")
    x, noise = torch.zeros(512, 2, 1, 1), Noise(0, [str(i) for i in range(512)])

    def near_modes(score) -> float:
        y = generate(score, Sampler(DDIM(), Uniform(25)))(x, noise).flatten(1)
        far = torch.cdist(y, torch.as_tensor(MODES, dtype=y.dtype)).amin(1)
        return float((far < 3 * SPREAD).float().mean())

    modes, moons = (load_score(file, VP(), label=label) for label in ("source", "target"))
    assert near_modes(modes) > 0.75 > 0.5 > near_modes(moons)
    guided = load_score(file, VP(), label="source", guidance=2.0)
    assert near_modes(guided) > near_modes(modes)
    t = f64(0.5)
    assert torch.equal(moons(x, t), load_score(file, VP(), label=1)(x, t))
    with pytest.raises(ValueError, match="knows modes, moons"):
        load_score(file, VP(), label="cat")


@pytest.mark.slow
def test_one_network_of_the_emoji_goes_both_ways(tmp_path, capsys):
    """The commands of docs/networks.md, with a tiny network for a few steps."""
    tiny = ["network=unet", "network.num_channels=32", "network.channel_mult=[1]",
            "network.num_head_channels=32", "network.attention_resolutions=[]",
            "data.size=8", "data.batch_size=4", "limit=8", "trainer.max_steps=2",
            "trainer.val_check_interval=2", "translate=null",
            "trainer.accelerator=cpu"]  # fmt: skip
    assert command("train", "model=labelled", f"out={tmp_path / 'both'}", *tiny) == 0
    file = tmp_path / "both" / "weights.safetensors"
    few = ["data.size=8", "sampler.grid.steps=10", "limit=2", "metrics=none", "report=0",
           "trainer.accelerator=cpu"]  # fmt: skip
    made = {}
    for name, ends in (("there", []), ("back", ["data.source=3d", "data.target=flat"])):
        assert command("sample", "experiment=none", "translator=ddib", f"score.weights={file}",
                       f"out={tmp_path / name}", *ends, *few) == 0  # fmt: skip
        made[name] = [p.read_bytes() for p in sorted((tmp_path / name / "images").rglob("*.png"))]
    assert [len(images) for images in made.values()] == [2, 2]
    assert made["there"] != made["back"]
    assert command("sample", "experiment=none", "translator=sdedit", "energy=none",
                   f"score.weights={file}", "score.label=3d", f"out={tmp_path / 'wrong'}",
                   "data.source=3d", "data.target=flat", *few) == 1  # fmt: skip
    assert "domain: 3d in the file, flat in this run" in capsys.readouterr().err
