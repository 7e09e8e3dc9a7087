"""Train a score and a property of chains, then ask for a property with rising weights.

    python examples/eegsde/run.py --steps 1500

Prints, for each weight, the mean absolute error of the property of the clouds that come out.
"""

from __future__ import annotations

import argparse

import torch
from clouds import chains, gyration
from egnn import EGNN, Property
from guidance import Wanted, centred, guided_clouds

from egsde import VP, Noise, Sampler, ScoreModel
from egsde.sampling import Uniform
from egsde.solvers import Ancestral


def train(
    steps: int, width: int = 32, batch: int = 64, seed: int = 0
) -> tuple[ScoreModel, Property]:
    """Both networks on the same noised chains."""
    torch.manual_seed(seed)
    sde, data = VP(), chains(4096)
    net, judge = EGNN(width), Property(width)
    optimiser = torch.optim.Adam([*net.parameters(), *judge.parameters()], lr=2e-3)
    rate = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    for _ in range(steps):
        x0 = data[torch.randint(len(data), (batch,))]
        t = sde.training_time(torch.rand(batch, 1, 1, 1, dtype=torch.float64))
        eps = centred(torch.randn_like(x0))
        x_t, label = sde.perturb(x0, t, eps), sde.network_time(t).flatten().float()
        loss = (net(x_t, label) - eps).square().mean()
        loss = loss + (judge(x_t, label) - gyration(x0)).square().mean()
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimiser.step()
        rate.step()
    return ScoreModel(net.eval(), sde), judge.eval()


def errors(score, judge, weights, value: float, count: int = 128, steps: int = 100) -> list[float]:
    """|gyration - value|, mean over clouds, for each weight of the energy."""
    like, ids = torch.zeros(count, 4, 6, 1), [str(i) for i in range(count)]
    sampler = Sampler(Ancestral(), Uniform(steps))
    found = []
    for weight in weights:
        energy = weight * Wanted(judge, value) if weight else None
        made = guided_clouds(score, sampler, energy)(like, Noise(0, ids))
        found.append(float((gyration(made) - value).abs().mean()))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--value", type=float, default=1.0)
    arguments = parser.parse_args()
    score, judge = train(arguments.steps)
    weights = (0.0, 1.0, 5.0, 20.0)
    for weight, error in zip(weights, errors(score, judge, weights, arguments.value), strict=True):
        print(f"weight {weight:5.1f}  error {error:.4f}")


if __name__ == "__main__":
    main()
