"""Where memory ends fewer images go at once; files are written behind, and their errors surface."""

from __future__ import annotations

import json
import threading
import time

import pytest
import torch

from demo_networks import write_networks
from egsde.data.asked import at_once
from egsde.networks import ADMEncoder, ADMUNet
from egsde.programs.callbacks.background import background
from egsde.programs.callbacks.room import Room
from egsde.programs.checks import check
from egsde.programs.compiled import compile_networks
from egsde.programs.sample import sample
from egsde.scores import Extractor, ScoreModel
from egsde.sde import DDPM
from runs import composed


class Narrow:
    """Takes so many images, as a device with little memory does."""

    def __init__(self, most, error):
        self.most, self.error, self.seen = most, error, []

    def __call__(self, items):
        if len(items) > self.most:
            raise self.error
        self.seen += items


CPU = RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: 9 TB")


CUDA = torch.OutOfMemoryError("CUDA out of memory")


@pytest.mark.parametrize("error", [CUDA, CPU, MemoryError()], ids=["cuda", "cpu", "python"])
def test_halves_where_memory_ends_and_goes_on_in_order(error):
    room, work = Room(), Narrow(3, error)
    with pytest.warns(UserWarning, match="memory ends with 5 images at once; 2 are tried"):
        room.each(work, list(range(11)))
    assert work.seen == list(range(11)) and room.most == 2  # 11, 5, 2
    room.each(work, list(range(3)))
    assert work.seen[11:] == [0, 1, 2]


def test_one_image_too_many_and_other_errors_are_told(tmp_path):
    with pytest.raises(ValueError, match="single image; use a smaller data.size"):
        Room().each(Narrow(0, CPU), [1, 2])
    with pytest.raises(RuntimeError, match="shapes differ"):
        Room().each(Narrow(1, RuntimeError("shapes differ")), [1, 2])
    assert at_once("auto") >= 32 and at_once(5) == 5
    with pytest.raises(ValueError, match="data.batch_size=auto is of translations"):
        check("train", composed("train", tmp_path, "data.batch_size=auto"))


def test_files_are_written_beside_the_work_and_all_of_them_at_the_end():
    done, gate = [], threading.Event()
    with background() as files:
        files.give([lambda: (gate.wait(10), done.append(0))])
        assert not done  # it has begun, and nothing waits for it
        gate.set()
        files.give([lambda: (time.sleep(0.05), done.append(1))])
        assert done == [0]  # at most one batch waits
    assert done == [0, 1]


@pytest.mark.parametrize("later", [True, False])
def test_an_error_of_a_file_surfaces(later):
    def full():
        raise OSError("No space left on device")

    done = []
    with pytest.raises(OSError, match="No space left"), background() as files:
        files.give([full, lambda: done.append(0)])
        if later:
            files.give([lambda: done.append(1)])
    assert done == [0]  # the others of its batch are kept


def test_what_was_given_is_written_when_the_work_is_stopped():
    done = []
    with pytest.raises(KeyboardInterrupt), background() as files:
        files.give([lambda: (time.sleep(0.05), done.append(0))])
        raise KeyboardInterrupt
    assert done == [0]


def test_a_run_whose_memory_ends_makes_the_same_images(tmp_path, monkeypatch):
    """Evaluations of an image are those of its part of a batch."""
    from egsde.programs import callbacks

    networks = write_networks(tmp_path)
    plain = sample_of(tmp_path / "a", networks)
    real, calls = callbacks.Translate.run, []

    def narrow(self, trainer, translator, *rest, **more):
        def small(x0, noise, **cond):
            calls.append(len(x0))
            if len(x0) > 1:
                raise torch.OutOfMemoryError("CUDA out of memory")
            return translator(x0, noise, **cond)

        return real(self, trainer, Around(translator, small), *rest, **more)

    monkeypatch.setattr(callbacks.Translate, "run", narrow)
    with pytest.warns(UserWarning, match="memory ends with 3 images"):
        halved = sample_of(tmp_path / "b", networks)
    assert calls == [3, 1, 1, 1]
    assert halved["nfe"] == plain["nfe"] and halved["n"] == plain["n"] == 3
    for path in sorted((tmp_path / "a" / "images").rglob("*.png")):
        other = tmp_path / "b" / path.relative_to(tmp_path / "a")
        assert other.read_bytes() == path.read_bytes()


class Around:
    def __init__(self, translator, call):
        self.translator, self.call, self.steps = translator, call, translator.steps

    def __call__(self, x0, noise, **cond):
        return self.call(x0, noise, **cond)


def sample_of(out, networks):
    sample(composed("sample", out, *networks, "limit=3", "metrics=none", "report=0",
                    "trajectory=0", "data.batch_size=auto"))  # fmt: skip
    return json.loads((out / "metrics.json").read_text())


@pytest.mark.slow
def test_compiled_networks_are_one_graph_each_and_say_the_same():
    """Without the code that `inductor` writes, which takes minutes: the graphs are the same."""
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    sde, t = DDPM(), torch.tensor(0.5, dtype=torch.float64)
    options = {"channel_mult": (1, 1), "num_head_channels": 32}
    score = ScoreModel(
        ADMUNet(8, num_channels=32, num_res_blocks=1, attention_resolutions="4", **options), sde
    )
    extractor = Extractor(
        ADMEncoder(8, width=32, depth=1, attention_resolutions="4", **options), sde
    )
    for parameter in score.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    x = torch.randn(2, 3, 8, 8)

    def found():
        with torch.no_grad():
            values = score(x, t)
        y = x.clone().requires_grad_()
        return values, torch.autograd.grad(extractor.features(y, t).square().sum(), y)[0]

    plain = found()
    compile_networks([score, extractor], backend="aot_eager")
    compiled = found()
    counted = torch._dynamo.utils.counters
    assert not counted["graph_break"] and counted["stats"]["unique_graphs"] == 3  # with the trial
    for a, b in zip(plain, compiled, strict=True):
        assert (a - b).abs().max() < 1e-5 * a.abs().max()
    assert score.calls == 2 and extractor.calls == 2
    with pytest.raises(ValueError, match="compile=true: torch.compile does not work here"):
        compile_networks([torch.nn.Identity()], backend="none such")
