"""What makes a step slow is counted: waits for the device, breaks of a graph, bytes that stay."""

from __future__ import annotations

import ctypes
import subprocess
import sys

import pytest
import torch

from egsde.energies import DomainCosine, EveryKth, LowPassL2
from egsde.methods import egsde, egsde_fast
from egsde.networks import ADMEncoder, ADMUNet, DDPMUNet
from egsde.noise import Noise
from egsde.sampling.grids import LogSNR, Uniform
from egsde.sampling.sampler import Sampler
from egsde.scores import Extractor, ScoreModel
from egsde.sde import DDPM, VP
from egsde.solvers import DDIM, Ancestral, DPMSolverPP2M, EulerMaruyama, Heun
from egsde.training.in_loop.memory import LiveBytes

SIZE = 16
NET = {"num_channels": 32, "channel_mult": (1,), "num_res_blocks": 1,
       "attention_resolutions": "16", "num_head_channels": 32}  # fmt: skip
ENCODER = {"width": 32, "channel_mult": (1,), "depth": 1, "attention_resolutions": "16",
           "num_head_channels": 32}  # fmt: skip


def guidance(sde, device="cpu"):
    """(score, energy) of random networks."""
    with torch.device(device):
        score = ScoreModel(ADMUNet(SIZE, **NET).requires_grad_(False), sde)
        extractor = Extractor(ADMEncoder(SIZE, **ENCODER), sde)
    return score, DomainCosine(extractor), LowPassL2(2)


@pytest.mark.parametrize(
    "sde", [DDPM(), pytest.param(VP(), marks=pytest.mark.slow)], ids=["ddpm", "vp"]
)
@pytest.mark.parametrize(
    ("solver", "grid"),
    [(Ancestral(), Uniform(6)),
     pytest.param(EulerMaruyama(), Uniform(6), marks=pytest.mark.slow),
     pytest.param(Heun(), Uniform(6), marks=pytest.mark.slow),
     (DDIM(), Uniform(6)), (DPMSolverPP2M(), LogSNR(6))],
    ids=["ancestral", "euler_maruyama", "heun", "ddim", "dpmpp_2m"],
)  # fmt: skip
def test_no_step_waits_for_the_device(sde, solver, grid):
    """Images on the meta device have shapes and no numbers: asking for one is an error."""
    score, realism, faithfulness = guidance(sde, "meta")
    energy = 500 * EveryKth(realism, 2, extrapolate=True) + 2 * faithfulness
    x0 = torch.empty(2, 3, SIZE, SIZE, device="meta")
    y = egsde(score, Sampler(solver, grid), energy, 0.5)(x0, Noise(0, ["a", "b"]))
    assert y.device.type == "meta" and y.shape == x0.shape
    assert score.calls >= 3
    with pytest.raises((RuntimeError, NotImplementedError)):
        float(y.mean())


def test_few_steps_wait_no_more():
    score, realism, faithfulness = guidance(DDPM(), "meta")
    fast = egsde_fast(score, 500 * realism + 2 * faithfulness, 0.5)
    x0 = torch.empty(1, 3, SIZE, SIZE, device="meta")
    assert fast(x0, Noise(0, ["a"])).shape == x0.shape


@pytest.mark.parametrize("make", [
    lambda: ADMUNet(SIZE, **NET),
    pytest.param(lambda: ADMEncoder(SIZE, **ENCODER), marks=pytest.mark.slow),
    pytest.param(
        lambda: DDPMUNet(SIZE, ch=32, ch_mult=(1,), num_res_blocks=1, attn_resolutions=(16,)),
        marks=pytest.mark.slow,
    ),
], ids=["adm", "encoder", "ddpm"])  # fmt: skip
def test_a_network_is_one_graph(make):
    found = torch._dynamo.explain(make())(torch.zeros(1, 3, SIZE, SIZE), torch.zeros(1))
    assert found.graph_count == 1 and found.graph_break_count == 0


def test_steps_leave_nothing_behind():
    """Eight steps need what two do: no step's values or graphs live on."""
    score, realism, faithfulness = guidance(DDPM())
    energy, x0 = 500 * realism + 2 * faithfulness, torch.zeros(1, 3, SIZE, SIZE)
    peaks = {}
    for steps in (2, 2, 8):  # the first makes the filter's matrices
        translator = egsde(score, Sampler(Ancestral(), Uniform(1000)), energy, steps / 1000)
        with LiveBytes() as live:
            translator(x0, Noise(0, ["a"]))
        peaks[steps] = live.peak
    assert peaks[8] == pytest.approx(peaks[2], rel=1e-3)


def test_values_alone_are_asked_with_channels_last():
    """The layout changes a network's output by rounding, and only where no gradient is asked."""
    torch.manual_seed(0)
    net = ADMUNet(SIZE, **NET).eval()
    for p in net.parameters():
        torch.nn.init.normal_(p, 0, 0.05)
    seen = []
    net.middle_block.register_forward_hook(
        lambda module, args, out: seen.append(args[0].is_contiguous())
    )
    x, t = torch.randn(2, 3, SIZE, SIZE), torch.tensor([10.0, 500.0])
    with torch.no_grad():
        fast = net(x, t)
    plain = net(x, t)
    assert seen == [False, True] and fast.is_contiguous()
    assert (fast - plain).abs().max() < 1e-5 * plain.abs().max()


FAULTS = """
import resource
{}
def used():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(8):
        b"x" * 2**26
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
used()
print(used())
"""


@pytest.mark.skipif(
    sys.platform != "linux" or not hasattr(ctypes.CDLL(None), "mallopt"), reason="glibc's own"
)
def test_a_programs_large_blocks_are_used_again_and_not_zeroed_anew():
    """Blocks of 64 MB, written and freed: the kernel's pages of the first are those of the next."""
    keep = "from egsde.programs.pages import keep_pages; keep_pages()"
    stock, kept = (
        int(subprocess.check_output([sys.executable, "-c", FAULTS.format(line)]))
        for line in ("", keep)
    )
    assert kept <= max(stock / 50, 100)
