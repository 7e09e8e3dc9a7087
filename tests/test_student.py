"""A student of a deterministic teacher: exact on Gaussians, near the ends of others; its pairs."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from scipy.optimize import linear_sum_assignment
from torch import Tensor, nn

from demo_networks import write_networks
from egsde.data import Fluent, Toy
from egsde.data.images import to_tensor
from egsde.data.toy import DOMAINS
from egsde.methods import Student, Teacher, ddib, egsde, sdedit
from egsde.methods.teacher import ends
from egsde.networks import MLP, ADMUNet, widened
from egsde.noise import Noise
from egsde.programs.export import export
from egsde.programs.load import load
from egsde.sampling import Sampler, Uniform
from egsde.scores import FlowMap, ScoreFunction
from egsde.sde import DDPM, VP, Reverse
from egsde.solvers import DDIM, RK45, Ancestral
from egsde.training.modules import Constant, StudentModule
from egsde.training.taught import TaughtDomains
from problems import Gaussian, SquaredDistance, f64
from runs import command, composed, rows
from shared import shared_path

TARGET = Gaussian(1.0, 0.04)
DDIM_100 = Sampler(DDIM(), Uniform(100), denoise=False)


class Affine(nn.Module):
    """eps = a y + b x + c, for each pair of ends its own: enough for Gaussians."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.ParameterDict()

    def forward(self, image: Tensor, t: Tensor, to: Tensor) -> Tensor:
        keys = [f"{a:.0f}/{b:.0f}" for a, b in zip(t.tolist(), to.tolist(), strict=True)]
        a, b, c = torch.stack([self.table[key] for key in keys]).T[..., None, None, None]
        return a * image[:, 1:] + b * image[:, :1] + c


def walks(teacher: Teacher, count: int = 32, key: int = 0) -> tuple[Tensor, Tensor, list[float]]:
    x = torch.linspace(-2, 2, count, dtype=torch.float64).view(-1, 1, 1, 1)
    states, times = teacher.walk(x, [str(i) for i in range(count)], key)
    return x, states, times


def taught(teacher: Teacher, skip: float = 0.0, steps: int = 100) -> FlowMap:
    """A student of affine maps, trained by the module's own loss."""
    x, states, times = walks(teacher)
    flow = FlowMap(Affine(), teacher.sde, times=times, skip=skip)
    labels = [flow.prediction.label(flow.sde, f64(max(t, flow.sde.t_noisy))) for t in times]
    for i, j in ((0, 1), (1, 2), (0, 2)):
        key = "/".join(f"{float(label):.0f}" for label in (labels[i], labels[j]))
        flow.net.table[key] = nn.Parameter(torch.zeros(3, dtype=torch.float64))
    module = StudentModule(flow, torch.optim.RAdam, Constant())
    optimiser = torch.optim.LBFGS(flow.parameters(), line_search_fn="strong_wolfe", max_iter=steps)
    batch = {"x": x.repeat(2, 1, 1, 1), "states": states.repeat(2, 1, 1, 1, 1)}

    def closure() -> Tensor:
        torch.manual_seed(0)
        optimiser.zero_grad()
        loss = module.loss(flow, batch, "train").square()  # the norm has a kink where it ends
        loss.backward()
        return loss

    for _ in range(5):
        optimiser.step(closure)
    return flow


@pytest.mark.parametrize(
    ("evaluations", "skip"), [(1, 0.0), pytest.param(2, 0.0, marks=pytest.mark.slow), (2, 0.8)]
)
def test_a_gaussian_teachers_affine_map_is_learned(evaluations, skip):
    """EGSDE with a quadratic energy: y_0 is affine in (y_M, x), and the student's own noise is the
    teacher's of the same key."""
    sde = VP()
    energy = SquaredDistance(2.0)
    translator = egsde(TARGET.score(sde), DDIM_100, energy, t_start=0.5)
    flow = taught(Teacher(translator, sde), skip)
    x, states, _ = walks(Teacher(translator, sde), key=7)
    made = Student(flow, evaluations)(x, Noise(7, [str(i) for i in range(len(x))]))
    assert (made - states[:, -1]).abs().max() < 1e-3


def test_the_recorded_map_of_ddib_is_learned():
    oracle = np.load(shared_path("oracles/ddib_gaussian.npz"))
    sde = VP(t_min=1e-6)
    source = Gaussian(-1.0, 0.25)
    sampler = Sampler(RK45(1e-8, 1e-8), Uniform(20), denoise=False)
    flow = taught(Teacher(ddib(TARGET.score(sde), sampler, source.score(sde)), sde))
    x = torch.from_numpy(oracle["x"]).view(-1, 1, 1, 1)
    made = Student(flow, 1)(x, Noise(3, [str(i) for i in range(len(x))]))
    assert np.allclose(made.flatten(), oracle["y"], rtol=0, atol=1e-3)


def test_a_map_to_its_own_start_is_the_identity_and_a_score_makes_ddims_step():
    sde, t, s = DDPM(), f64(0.5), f64(0.2)
    score_of = TARGET.score(sde)

    class Eps(nn.Module):
        def forward(self, image: Tensor, label: Tensor, to: Tensor) -> Tensor:
            return (-sde.sigma(t) * score_of(image[:, 1:], t)).to(image)

    flow = FlowMap(Eps(), sde)
    y, x = torch.randn(2, 3, 1, 2, 2, dtype=torch.float64, generator=torch.manual_seed(0))
    assert (flow(y, t, t, x) - y).abs().max() < 1e-12
    expected, _ = DDIM().step(Reverse(sde, score_of), y, t, s, torch.zeros_like)
    assert (flow(y, t, s, x) - expected).abs().max() < 1e-12
    assert flow.calls == 2
    mixed = FlowMap(Eps(), sde, skip=0.5)
    share = 0.5 * float(sde.sigma(t))  # alpha^2 + sigma^2 = 1
    clean, zero = flow(y, t, f64(0.0), x), f64(0.0)
    assert (mixed(y, t, zero, x) - (1 - share) * clean - share * x).abs().max() < 1e-12
    assert (mixed(y, t, t, x) - y).abs().max() < 1e-12
    with pytest.raises(ValueError, match="the source's share"):
        FlowMap(Eps(), sde, skip=1.0)


@pytest.mark.parametrize("make", [
    lambda two: ADMUNet(8, num_channels=32, channel_mult=[1], attention_resolutions=[], patch=2,
                            num_head_channels=32,
                        in_channels=6 if two else 3, two_times=two),
    lambda two: MLP(2, width=32, in_channels=4 if two else 2, two_times=two),
], ids=["unet", "mlp"])  # fmt: skip
def test_a_student_starts_as_the_score_blind_to_source_and_end(make):
    torch.manual_seed(0)
    score, student = make(False), make(True)
    for parameter in score.parameters():
        nn.init.normal_(parameter, std=0.1)
    student.load_state_dict(widened(student, score.state_dict()))
    shape = (2, 3, 8, 8) if isinstance(score, ADMUNet) else (2, 2, 1, 1)
    x, y, t, to = torch.randn(shape), torch.randn(shape), torch.tensor([5.0, 400.0]), torch.zeros(2)
    assert (student(torch.cat([x, y], 1), t, to=to) - score(y, t)).abs().max() < 1e-5
    with pytest.raises(ValueError, match="where its flow ends"):
        student(torch.cat([x, y], 1), t)


def test_the_middle_is_half_way_in_log_snr():
    sde = DDPM()
    times = [*np.linspace(0.3, 0.025, 12), 0.0]
    first, middle, last = ends(sde, times, 2)
    levels = [float(sde.log_snr(f64(t))) for t in times[:-1]]
    half = (levels[0] + levels[-1]) / 2
    assert (first, last) == (0, 12)
    assert abs(levels[middle] - half) == min(abs(level - half) for level in levels)
    assert ends(sde, [0.3, 0.1, 0.0], 2) == [0, 1, 2]
    with pytest.raises(ValueError, match="has no 3 segments"):
        ends(sde, [0.3, 0.1, 0.0], 3)


def test_a_teacher_that_draws_noise_is_refused():
    sde = DDPM()
    noisy = egsde(TARGET.score(sde), Sampler(Ancestral(), Uniform(10)), None)
    with pytest.raises(ValueError, match="learns from a deterministic teacher"):
        walks(Teacher(noisy, sde))
    fresh = egsde(TARGET.score(sde), DDIM_100, SquaredDistance(1.0), source_noise="fresh")
    with pytest.raises(ValueError, match="source_noise=shared"):
        walks(Teacher(fresh, sde))
    with pytest.raises(ValueError, match="shows no states"):
        Teacher(lambda x, noise: x, sde)


def domains(folder: Path, recipe: str = "a", keys: int = 2) -> TaughtDomains:
    sde = VP()
    teacher = Teacher(sdedit(TARGET.score(sde), DDIM_100, 0.5), sde, recipe=recipe)
    return TaughtDomains(Toy(16), "rings", "moons", size=1, eval_batch_size=6, teacher=teacher,
                         keys=keys, pairs=folder)  # fmt: skip


def test_pairs_are_kept_gone_on_with_and_made_again_for_another_teacher(tmp_path, capsys):
    data = domains(tmp_path)
    data.prepare_data()
    shards = {path: path.stat().st_mtime_ns for path in tmp_path.glob("train-*")}
    assert len(shards) == 2 * 3  # keys, shards of six of sixteen
    lost = next(iter(shards))
    lost.unlink()
    again = domains(tmp_path)
    again.prepare_data()
    made = [p for p in shards if p.stat().st_mtime_ns != shards[p]]
    assert made == [lost]
    view = again.viewed("train")
    one = view[(0, 16 + 7, False)]  # key 1, image 7
    assert one["id"] == "1/000007.png" and len(one["states"]) == 3
    x = view[(0, 7, False)]["x"][None]
    exact, times = again.teacher.walk(x, ["000007.png"], 1)
    assert torch.allclose(one["states"], exact[0].float(), atol=2e-3)
    assert times == list(again.times)
    before = shards[sorted(shards)[0]]
    domains(tmp_path, recipe="b").prepare_data()
    assert sorted(shards)[0].stat().st_mtime_ns != before


def test_a_cut_shard_is_made_again(tmp_path):
    domains(tmp_path).prepare_data()
    path = sorted(tmp_path.glob("train-0-*"))[0]
    path.write_bytes(path.read_bytes()[:100])
    domains(tmp_path).prepare_data()
    with safe_open(path, framework="pt") as file:
        assert file.get_slice("y").get_shape()[:2] == [6, 3]


def held(path: Path) -> tuple[dict[str, str], Tensor]:
    with safe_open(path, framework="pt") as file:
        assert list(file.keys()) == ["y"]
        return file.metadata(), file.get_tensor("y")


SPOILT = {
    "other values": lambda y: {"y": y + 1},
    "NaN": lambda y: {"y": y * float("nan")},
    "another type": lambda y: {"y": y.float()},
    "more images": lambda y: {"y": torch.cat([y, y])},
    "another size": lambda y: {"y": torch.cat([y, y], -1)},
    "fewer states": lambda y: {"y": y[:, :2].contiguous()},
    "another name": lambda y: {"z": y},
    "more": lambda y: {"y": y, "z": y.clone()},
}


@pytest.mark.parametrize("what", [*SPOILT, "times", "no times"])
def test_a_shard_of_the_right_name_with_other_content_is_made_again(tmp_path, what):
    data = domains(tmp_path, keys=1)
    data.prepare_data()
    path = sorted(tmp_path.glob("train-0-*"))[0]
    right, y = held(path)
    told = dict(right)
    if "times" in what:
        told["times"] = "0.1,0.5,0.0" if what == "times" else ""
    if what not in ("other values", "times", "no times"):
        del told["states"]  # as before the states had a hash
    save_file(SPOILT.get(what, lambda y: {"y": y})(y), path, metadata=told)
    domains(tmp_path, keys=1).prepare_data()
    again, states = held(path)
    assert again == right and torch.equal(states, y)


@pytest.fixture(scope="module")
def taught_run(tmp_path_factory):
    """Folders: networks and a teacher's run at 16 px, and its student after four steps."""
    folder = tmp_path_factory.mktemp("student")
    options = write_networks(folder)
    common = ["data=fluent", "data.size=16", "trainer.accelerator=cpu"]
    made = [f"out={folder / 'teacher'}", "translator=egsde", "sampler=ddim", "limit=2"]
    assert command("sample", *common, *made, *options) == 0
    settings = [f"teacher={folder / 'teacher'}", "network.num_channels=32", "limit=6",
                "network.channel_mult=[1]", "network.attention_resolutions=[]", "network.patch=1",
                "data.keys=2", "data.limit=3", "data.batch_size=4", "trainer.max_steps=4",
                "trainer.val_check_interval=2",
                f"extractor.weights={folder / 'classifier.safetensors'}"]  # fmt: skip
    assert command("train", "model=student", f"out={folder / 'student'}", *common, *settings) == 0
    return folder


@pytest.mark.slow
def test_train_and_sample_from_the_command_line(taught_run, tmp_path, capsys):
    logged = rows(taught_run / "student")
    assert any("val/evaluations_1" in row and "val/evaluations_2" in row for row in logged)
    assert len(list((taught_run / "student" / "pairs").glob("train-*"))) == 2 * 2
    file = taught_run / "student" / "weights.safetensors"
    common = ["data=fluent", "data.size=16", "limit=2", "metrics=pairwise", "logger=none"]
    for count in (1, 2):
        out = tmp_path / str(count)
        assert command("sample", *common, "translator=student", f"score.weights={file}",
                       f"translator.evaluations={count}", f"out={out}") == 0  # fmt: skip
        assert json.loads((out / "metrics.json").read_text())["nfe"] == {"score": count}
    assert command("sample", *common, "translator=student", f"score.weights={file}",
                   "translator.evaluations=3", f"out={tmp_path / '3'}") == 1  # fmt: skip
    assert "in 1 or 2 evaluations, got translator.evaluations=3" in capsys.readouterr().err
    y = load(file).translate(torch.zeros(3, 16, 16))
    assert y.shape == (3, 16, 16)


@pytest.mark.slow
def test_the_student_is_one_graph(taught_run, tmp_path):
    """Written, read back and compared with PyTorch by the program itself."""
    for name in ("onnx", "onnxscript", "onnxruntime"):
        pytest.importorskip(name)
    file = taught_run / "student" / "weights.safetensors"
    options = ["data=fluent", "data.size=16", "translator=student", f"score.weights={file}"]
    export(composed("export", tmp_path / "out", *options))
    assert (tmp_path / "out" / "translator.onnx").is_file()


@pytest.mark.slow
def test_the_student_of_other_images_or_networks_is_refused(taught_run, tmp_path, capsys):
    common = ["model=student", f"teacher={taught_run / 'teacher'}", "trainer.accelerator=cpu",
              f"extractor.weights={taught_run / 'classifier.safetensors'}", "data=fluent",
              f"out={tmp_path / 'o'}", "network.num_channels=32", "network.channel_mult=[1]",
              "network.attention_resolutions=[]"]  # fmt: skip
    assert command("train", *common, "data.size=32", "network.patch=1") == 1
    said = capsys.readouterr().err
    assert "flat to 3d at 16 px, and the student is to learn from flat to 3d at 32 px" in said
    assert command("train", *common, "data.size=16", "network.patch=2") == 1
    assert "starts as its teacher's" in capsys.readouterr().err


@pytest.mark.slow
def test_a_student_ends_on_the_moons_where_its_teacher_does():
    """W2 between the ends of student and teacher over new points and keys, against the teacher's
    with other keys: the score is that of 400 points of the moons, each with a deviation of 0.05."""
    sde, centres = VP(), torch.from_numpy(DOMAINS["moons"](np.random.default_rng(0), 400)).float()

    def score(y: Tensor, t: Tensor, source: object = None) -> Tensor:
        alpha, spread = sde.alpha(t).float(), (sde.alpha(t) ** 2 * 0.05**2 + sde.sigma(t) ** 2)
        offset = alpha * centres - y[:, None, :, 0, 0]  # (B, 400, 2)
        weight = (-offset.square().sum(-1) / (2 * spread.float())).softmax(1)
        return ((weight[..., None] * offset).sum(1) / spread.float())[:, :, None, None]

    sampler = Sampler(DDIM(), Uniform(40), denoise=True)
    teacher = Teacher(sdedit(ScoreFunction(score, sde), sampler, 0.5), sde)

    def rings(count: int, seed: int) -> Tensor:
        points = DOMAINS["rings"](np.random.default_rng(seed), count)
        return torch.from_numpy(points).float()[:, :, None, None]

    torch.manual_seed(0)
    x = rings(4096, 1)
    states, times = teacher.walk(x, [str(i) for i in range(len(x))], 0)
    net = MLP(2, width=128, in_channels=4, two_times=True)
    flow = FlowMap(net, sde, times=times)
    module = StudentModule(flow, torch.optim.RAdam, Constant())
    optimiser = torch.optim.RAdam(net.parameters(), lr=2e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, 2500)
    for _ in range(2500):
        rows = torch.randint(len(x), (256,))
        optimiser.zero_grad()
        module.loss(flow, {"x": x[rows], "states": states[rows]}, "train").backward()
        optimiser.step()
        schedule.step()
    fresh, names = rings(500, 2), [str(i) for i in range(500)]
    goal = teacher.walk(fresh, names, 1)[0][:, -1]
    floor = w2(teacher.walk(fresh, names, 2)[0][:, -1], goal)
    start = w2(fresh, goal)
    two, one = (w2(Student(flow, n)(fresh, Noise(1, names)), goal) for n in (2, 1))
    assert two < 1.2 * floor and one < 2 * floor and max(one, two) < 0.3 * start, (two, one, floor)


def w2(a: Tensor, b: Tensor) -> float:
    """The 2-Wasserstein distance of two clouds of as many points."""
    costs = torch.cdist(a.flatten(1).double(), b.flatten(1).double()).square().numpy()
    return float(costs[linear_sum_assignment(costs)].mean() ** 0.5)


def test_the_embedded_bridge_comes_nearer_to_the_truth_in_one_evaluation():
    """Of 24 held-out drawings, of which no network has seen the rendering."""
    translator = load("demo", "experiment=student")
    drawn, solid = (Fluent().images(style, "test", 64) for style in ("flat", "3d"))
    assert drawn.ids == solid.ids
    x, truth = (
        torch.stack([to_tensor(images.array(i)) for i in range(0, 240, 10)])
        for images in (drawn, solid)
    )
    score = translator.translator.score.score  # inside what clips its clean images
    before = score.calls
    y = translator.translator(x, Noise(0, drawn.ids[0:240:10]))
    assert score.calls == before + 1

    def distance(image: Tensor) -> Tensor:
        return (image - truth).flatten(1).norm(dim=1) / 2

    assert (distance(y) < distance(x)).double().mean() >= 0.8
    assert distance(y).mean() < 0.95 * distance(x).mean()
