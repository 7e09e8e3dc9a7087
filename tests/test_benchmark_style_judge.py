"""The judge's logistic regression against Gaussians, whose log odds are known."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import torch

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


def test_a_regression_finds_the_log_odds_of_two_gaussians(monkeypatch):
    """N(-m, 1) and N(m, 1) have the log odds 2 m x; a penalty shrinks them."""
    monkeypatch.setattr(sys, "path", [str(BENCHMARKS), *sys.path])
    made = runpy.run_path(str(BENCHMARKS / "style_judge.py"), run_name="imported")
    m = torch.tensor([0.8, -0.4, 0.0], dtype=torch.float64)
    generator = torch.Generator().manual_seed(0)
    labels = torch.tensor([0.0, 1.0], dtype=torch.float64).repeat(20_000)
    noise = torch.randn(40_000, 3, generator=generator, dtype=torch.float64)
    rows = noise + (2 * labels - 1)[:, None] * m
    found = made["Regression"](rows, labels, 0.0)
    assert torch.allclose(found.w[:-1] / found.std, 2 * m, atol=0.05)
    assert torch.allclose(found(rows), 2 * rows @ m, atol=0.3)
    best = made["known"](2 * rows @ m, labels)  # Bayes' own, of these points
    assert abs(made["known"](found(rows), labels) - best) < 0.002
    shrunk = made["Regression"](rows, labels, 1.0)
    assert shrunk.w[:-1].norm() < 0.2 * found.w[:-1].norm()
