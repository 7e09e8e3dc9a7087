"""examples/eegsde: clouds turn, move and permute through a whole guided walk; guidance guides."""

from __future__ import annotations

import ast
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from egsde import VP, Noise, Sampler, ScoreModel
from egsde.sampling import Uniform
from egsde.scores import ScoreFunction
from egsde.solvers import Ancestral

FOLDER = Path(__file__).parents[1] / "examples" / "eegsde"
sys.path.insert(0, str(FOLDER))

import clouds  # noqa: E402
import egnn  # noqa: E402
import guidance  # noqa: E402
import run  # noqa: E402

F64 = torch.float64


def nets():
    torch.manual_seed(0)
    return egnn.EGNN(8, 2).double(), egnn.Property(8, 2).double()


def turned(y, rotation):
    return torch.cat([torch.einsum("ij,bjnk->bink", rotation, y[:, :3]), y[:, 3:]], 1)


def rotation():
    q, r = torch.linalg.qr(torch.randn(3, 3, dtype=F64, generator=torch.Generator().manual_seed(4)))
    return q * r.diagonal().sign()


@dataclass(frozen=True)
class Changed:
    """The streams of another, each draw changed in the same way."""

    noise: Noise
    change: object

    def stream(self, key):
        drawn = self.noise.stream(key)
        return lambda x: self.change(drawn(x))

    def child(self, key):
        return Changed(self.noise.child(key), self.change)


@pytest.mark.parametrize("kind", ["rotation", "reflection", "permutation"])
def test_a_guided_walk_is_equivariant(kind):
    net, judge = nets()
    r, order = rotation(), torch.randperm(6, generator=torch.Generator().manual_seed(1))
    change = {
        "rotation": lambda y: turned(y, r),
        "reflection": lambda y: turned(y, -r),
        "permutation": lambda y: y[:, :, order],
    }[kind]
    energy = 2.0 * guidance.Wanted(judge, 1.0)
    walk = guidance.guided_clouds(ScoreModel(net, VP()), Sampler(Ancestral(), Uniform(20)), energy)
    like, noise = torch.zeros(3, 4, 6, 1, dtype=F64), Noise(0, ["a", "b", "c"])
    plain, other = walk(like, noise), walk(like, Changed(noise, change))
    assert plain.abs().max() > 0.1
    assert torch.allclose(other, change(plain), atol=1e-5 * float(plain.abs().max()))
    assert float(plain[:, :3].mean(2).abs().max()) < 1e-6 * float(plain.abs().max())
    free = guidance.guided_clouds(ScoreModel(net, VP()), Sampler(Ancestral(), Uniform(20)))
    assert not torch.allclose(free(like, noise), plain, atol=1e-6)


def test_a_property_is_invariant_and_its_gradient_moves_no_centre():
    _, judge = nets()
    y = clouds.chains(4).double()
    t = torch.full((4,), 300.0, dtype=F64)
    moved = turned(y, rotation())
    moved[:, :3] += 3.0
    assert torch.allclose(judge(y, t), judge(moved, t))
    y.requires_grad_()
    (slope,) = torch.autograd.grad(judge(y, t).sum(), y)
    assert slope.abs().max() > 0 and float(slope[:, :3].sum(2).abs().max()) < 1e-12


def test_the_propertys_error_falls_as_the_weight_grows():
    """Clouds of N(0, 0.4^2) atoms: their score, and their property given noised ones, are known."""
    sde, variance = VP(), 0.4**2

    def moments(t):
        alpha, sigma = sde.alpha(t), sde.sigma(t)
        total = alpha.square() * variance + sigma.square()
        return alpha * variance / total, total, variance * sigma.square() / total

    def score(y, t, source=None):
        return -y / moments(t)[1]

    def expected(y, label):
        gain, _, left = moments(label.double()[:, None, None, None] / 999)
        return clouds.gyration(gain * y) + 3 * (5 / 6) * left.flatten()

    exact = ScoreFunction(score, sde)
    found = run.errors(exact, expected, (0.0, 2.0, 8.0, 30.0), 1.0, 64)
    assert all(b < a for a, b in zip(found[:-1], found[1:], strict=True)), found
    assert found[-1] < 0.2 * found[0], found


def test_chains_are_of_one_length_and_centred():
    y = clouds.chains(50)
    bonds = (y[:, :3, 1:] - y[:, :3, :-1]).norm(dim=1)
    assert torch.allclose(bonds, torch.full_like(bonds, 0.6), atol=1e-5)
    assert float(y[:, :3].mean(2).abs().max()) < 1e-6
    assert float(clouds.gyration(y).std()) > 0.05


def test_a_file_of_qm9_is_read(tmp_path):
    (tmp_path / "a.xyz").write_text(
        "3\ngdb 3\t799.58\nO\t0.0\t1.0*^-1\t0.0\t-0.5\nH\t1.0\t0.0\t0.0\t0.2\n"
        "H\t-1.0\t0.0\t0.0\t0.2\n1341.3\nO\tO\nInChI\n"
    )
    (cloud,) = clouds.qm9(tmp_path)
    assert cloud.shape == (4, 3, 1) and cloud[3, :, 0].tolist() == pytest.approx([0.8, 0.1, 0.1])
    assert float(cloud[1, 0] - cloud[1, 1]) == pytest.approx(0.1)
    (tmp_path / "b.xyz").write_text("2\nnothing\nC 0 0 0\n")
    with pytest.raises(ValueError, match="b.xyz is no .xyz file of QM9"):
        list(clouds.qm9(tmp_path))


def test_the_example_uses_public_names_alone():
    public = {"egsde", "egsde.energies", "egsde.methods", "egsde.sampling", "egsde.solvers"}
    for path in FOLDER.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and str(node.module).startswith("egsde"):
                assert node.module in public
                assert not any(name.name.startswith("_") for name in node.names)


@pytest.mark.slow
def test_trained_networks_guide_chains():
    score, judge = run.train(1000)
    found = run.errors(score, judge, (0.0, 5.0, 20.0), 1.0, count=96)
    assert found[2] < found[1] < found[0]
