"""What a newcomer touches first: names, `egsde.load`, one console command, a single picture."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import egsde
from demo_networks import write_networks
from egsde.energies import Guided
from egsde.programs import cards, cli
from folders import colour
from runs import command


def test_every_name_of_the_face_is_there_and_none_is_loaded_before_use():
    assert len(egsde.__all__) <= 40 and set(egsde.__all__) <= set(dir(egsde))
    for name in egsde.__all__:
        assert getattr(egsde, name) is not None
    heavy = "import egsde, sys; print([m for m in ('torch', 'hydra', 'PIL') if m in sys.modules])"
    shown = subprocess.run([sys.executable, "-c", heavy], capture_output=True, text=True)
    assert shown.stdout.strip() == "[]", shown.stderr
    with pytest.raises(AttributeError, match="it has .*load"):
        _ = egsde.no_such_name


@pytest.fixture(scope="module")
def networks(tmp_path_factory) -> list[str]:
    return write_networks(tmp_path_factory.mktemp("networks"))


@pytest.fixture
def photo(tmp_path):
    """A picture that is neither square nor of the networks' size."""
    path = tmp_path / "photo.png"
    values = np.random.default_rng(0).integers(0, 256, (24, 40, 3), dtype=np.uint8)
    Image.fromarray(values).save(path)
    return path


def test_a_file_gives_the_command_lines_picture(networks, photo, tmp_path, capsys):
    given = [f"data.source={photo}", f"out={tmp_path / 'run'}", "metrics=default"]
    assert command("sample", *networks, *given) == 0
    assert "metrics are left out" in capsys.readouterr().out
    by_command = Image.open(tmp_path / "run" / "images" / "photo.png")
    options = [o for o in networks if not o.startswith(("trainer", "logger", "metrics"))]
    translator = egsde.load("demo", *options)
    made = translator.translate(photo)
    assert made.size == (16, 16) and np.array_equal(made, by_command)
    again = egsde.load(tmp_path / "run").translate(photo)
    assert np.array_equal(again, by_command)
    other = translator.translate(photo, "another name")
    assert not np.array_equal(other, by_command)


def test_the_kind_that_is_given_comes_back(networks):
    score, classifier = (next(o for o in networks if o.startswith(p)) for p in ("score", "extract"))
    translator = egsde.load(
        score.split("=")[1],
        "sampler.grid.steps=10",
        "factor=2",
        extractor=classifier.split("=")[1],
    )
    assert translator.size == 16 and isinstance(translator.translator.score, Guided)
    x = torch.rand(2, 3, 16, 16) * 2 - 1
    both = translator.translate(x)
    one = translator.translate(x[1], "1")
    assert both.dtype == x.dtype and torch.allclose(one, both[1], atol=1e-5)
    whole = translator.translate(((x + 1) * 127.5).round().to(torch.uint8))
    assert whole.dtype == torch.uint8 and whole.shape == x.shape
    assert translator.translate(colour(3, 20)).mode == "RGB"
    with pytest.raises(ValueError, match=r"\(3, H, W\) or \(B, 3, H, W\), got \(4, 4\)"):
        translator.translate(torch.zeros(4, 4))


def test_a_plain_score_is_sdedit_and_a_classifier_is_no_translator(networks):
    score, classifier = (o.split("=")[1] for o in networks[:2])
    assert not isinstance(egsde.load(score).translator.score, Guided)
    with pytest.raises(ValueError, match="holds a classifier.*give it as extractor="):
        egsde.load(classifier)


def test_an_absent_published_network_says_where_to_put_it(monkeypatch, tmp_path):
    monkeypatch.setattr(cards, "FETCHED", tmp_path)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError, match="afhq_dog_4m.pt.*ilvr_adm.*non-commercial") as told:
        egsde.load("afhq_dog")
    assert str(tmp_path / "afhq_dog_4m.pt") in str(told.value)
    with pytest.raises(ValueError, match="an extractor, which translates nothing by itself"):
        egsde.load("cat2dog_dse")
    with pytest.raises(ValueError, match="give demo, a folder .* cards afhq_dog"):
        egsde.load("nothing")


def test_a_file_with_another_hash_is_refused(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.pt").write_bytes(b"abc")
    right = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # of "abc"
    card = cards.Card("net", "net.pt", "a page", "a licence", {"score": "adm_256"}, right)
    assert card.overrides() == ["score=adm_256", "score.weights='net.pt'"]
    (tmp_path / "net.pt").write_bytes(b"abd")
    with pytest.raises(ValueError, match=f"not the published net: its sha256 is .*{right}"):
        card.path()


def test_an_absent_picture_is_named(networks, tmp_path, capsys):
    missing = tmp_path / "no.png"
    assert command("sample", *networks, f"data.source={missing}", f"out={tmp_path}") == 1
    assert f"error: no image at {missing}" in capsys.readouterr().err


def main(monkeypatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["egsde", *arguments])
    try:
        cli.main()
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0


@pytest.mark.parametrize("name", cli.PROGRAMS)
def test_one_command_runs_every_program(name, monkeypatch, capsys):
    assert main(monkeypatch, name, "out=made", "--cfg", "job") == 0
    assert "out: made" in capsys.readouterr().out
    assert sys.argv == ["egsde", name, "out=made", "--cfg", "job"]  # other processes start by it


def test_a_wrong_program_is_answered(monkeypatch, capsys):
    assert main(monkeypatch, "trian") == 2
    assert "did you mean train?" in capsys.readouterr().err
    assert main(monkeypatch) == 0 and "train, sample, evaluate" in capsys.readouterr().out


def test_dataset_is_data(monkeypatch, capsys):
    shown = []
    for word in ("data", "dataset"):
        given = (f"{word}=folder", f"{word}.source=a", f"+{word}.fit2=b", "--cfg", "job")
        assert main(monkeypatch, "train", *given) == 0
        shown.append(capsys.readouterr().out)
    assert shown[0].split("out:")[0] == shown[1].split("out:")[0] and "source: a" in shown[0]


def test_the_pages_example_of_parts_translates():
    """A score, a sampler and a translator; a process nowhere, for the file knows it."""
    page = (Path(__file__).parents[1] / "docs" / "index.md").read_text()
    block = next(b for b in page.split("```python\n")[1:] if "load_score" in b).split("```")[0]
    found: dict = {}
    exec(block, found)
    y = found["y"]
    assert y.shape == (1, 3, 64, 64) and 0.01 < float(y.std()) < 1 and "DDPM" not in block
    assert repr(found["translator"].sde) == "DDPM(1000)"
