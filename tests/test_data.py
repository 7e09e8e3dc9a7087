"""Layouts on disk, pairs and the embedded pictures: right images, stable splits, no leak."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import pytest
import torch
from PIL import Image

import egsde
from egsde.data import Folders
from egsde.data.domains import hash_split, stem
from folders import data, encoded, fill
from shared import shared_path


def test_published_layouts(tmp_path: Path) -> None:
    for split, count in (("train", 3), ("val", 2)):
        for k, domain in enumerate(("cat", "dog", "wild")):
            fill(tmp_path / "afhq" / split / domain, count, "jpg", start=50 * k)
    for folder, count in (("trainA", 4), ("trainB", 3), ("testA", 2), ("testB", 1)):
        fill(tmp_path / "h2z" / folder, count, "jpg", start=40 * count)
    afhq = data("afhq", f"data.root={tmp_path}/afhq", "data.source=wild", "data.size=8")
    counts = [len(afhq.domain("source", split)) for split in ("train", "val", "test")]
    assert counts == [3, 2, 2] and afhq.names == ["wild", "dog"]
    zebra = ["data.source=zebra", "data.target=horse", "data.size=8"]
    h2z = data("horse2zebra", f"data.root={tmp_path}/h2z", *zebra)
    assert [len(h2z.domain("source", s)) for s in ("train", "val", "test")] == [3, 1, 1]
    assert [len(h2z.domain("target", s)) for s in ("train", "val", "test")] == [4, 2, 2]


@pytest.mark.parametrize(
    ("name", "layout", "page"),
    [
        ("afhq", "{root}/{train,val}/{cat,dog,wild}", "github.com/clovaai/stargan-v2"),
        ("celeba_hq", "{root}/{train,val}/{female,male}", "github.com/clovaai/stargan-v2"),
        ("horse2zebra", "{trainA,trainB,testA,testB}", "junyanz/pytorch-CycleGAN-and-pix2pix"),
    ],
)
def test_missing_data_says_what_is_expected(
    tmp_path: Path, name: str, layout: str, page: str
) -> None:
    for root in (tmp_path / "nowhere", tmp_path):
        with pytest.raises(ValueError) as error:
            data(name, f"data.root={root}").train_dataloader()
        text = str(error.value)
        assert str(root) in text and layout in text and page in text and "\n" not in text


def test_pool_is_divided_by_name_alone(tmp_path: Path) -> None:
    fill(tmp_path / "a", 120)
    splits = {s: Folders().images(str(tmp_path / "a"), s, 8).ids for s in ("train", "val", "test")}
    assert sorted(sum(splits.values(), [])) == Folders().images(str(tmp_path / "a"), "all", 8).ids
    assert all(hash_split(name) == split for split, names in splits.items() for name in names)
    assert 80 <= len(splits["train"]) <= 108 and min(map(len, splits.values())) >= 5
    fill(tmp_path / "a", 30, start=120)  # more files move none of the old
    again = Folders().images(str(tmp_path / "a"), "test", 8).ids
    assert [name for name in again if name < "120"] == splits["test"]


def test_samples_of_the_published_sets() -> None:
    for name, source, count in (("afhq", "wild", 15), ("celeba_hq", "male", 26)):
        root = shared_path(f"data/samples_256/{name}")
        module = data(name, f"data.root={root}", f"data.source={source}", "data.size=64")
        assert len(module.domain("source", "test")) == len(module.domain("source", "val")) == count
        batch = next(iter(module.translation_loader("test", batch_size=4)))
        assert batch["x0"].shape == (4, 3, 64, 64) and batch["x0"].std() > 0.2
        with pytest.raises(ValueError, match="split train"):
            module.train_dataloader()


def test_side_by_side_halves_are_truth(tmp_path: Path) -> None:
    (tmp_path / "train").mkdir()
    (tmp_path / "val").mkdir()
    for k in range(6):
        both = Image.new("RGB", (16, 8), (k, 0, 0))
        both.paste((0, k, 0), (8, 0, 16, 8))
        both.save(tmp_path / ("train" if k < 4 else "val") / f"{k}.png")
    module = data("maps", f"data.root={tmp_path}", "data.size=8", "data.flip=false")
    loaders = module.translation_loader("test"), module.val_dataloader()
    for batch in (next(iter(loader)) for loader in loaders):
        photo, label = batch.get("truth", batch.get("y")), batch.get("x0", batch.get("x"))
        k = torch.tensor([int(stem(name)) for name in batch["id"]])
        assert k.tolist() == [4, 5]
        assert torch.equal(((photo[:, 0, 0, 0] + 1) * 127.5).round(), k.float())
        assert torch.equal(((label[:, 1, 0, 0] + 1) * 127.5).round(), k.float())


def test_paired_folders_match_by_name(tmp_path: Path) -> None:
    fill(tmp_path / "train" / "A", 5, "png")
    fill(tmp_path / "train" / "B", 5, "webp", start=1)
    fill(tmp_path / "test" / "A", 1)
    fill(tmp_path / "test" / "B", 1)
    module = data("paired_folder", f"data.root={tmp_path}", "data.size=8", "data.batch_size=4")
    with pytest.warns(UserWarning, match=r"2 images have no partner.*000\.png.*005\.webp"):
        batch = next(iter(module.train_dataloader()))
    assert sorted(batch["id"]) == [f"{k:03d}.png" for k in range(1, 5)]
    assert (batch["x"] - batch["y"]).abs().max() < 0.1


def test_facades() -> None:
    module = data("facades", f"data.root={shared_path('data/facades')}", "data.size=32")
    assert len(module.translations("test")) == 106 and len(module.translations("val")) == 100


@pytest.mark.parametrize("size", [32, 64])
def test_embedded_pictures_translate_both_ways(size: int) -> None:
    there = data("fluent", f"data.size={size}")
    back = data("fluent", f"data.size={size}", "data.source=3d", "data.target=flat")
    one, two = (next(iter(m.translation_loader("test", batch_size=8))) for m in (there, back))
    assert one["id"] == two["id"] and one["x0"].shape == (8, 3, size, size)
    assert torch.equal(one["truth"], two["x0"]) and torch.equal(one["x0"], two["truth"])
    assert there.domain("target", "test")[0]["image"].equal(one["truth"][0])


def test_everything_embedded_is_under_forty_megabytes() -> None:
    """Pictures, networks and features in the package, with a notice beside the pictures."""
    package = Path(egsde.__file__).parent
    binary = [p for p in package.rglob("*") if p.suffix in (".safetensors", ".webp", ".npz")]
    assert 20e6 < sum(p.stat().st_size for p in binary) < 40e6
    assert "MIT" in (package / "data" / "fluent" / "NOTICE.md").read_text()


def test_noto_and_twemoji_are_paired_folders(tmp_path: Path, monkeypatch) -> None:
    """Of two packages as npm gives them: what both draw, families in one split."""
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1] / "benchmarks" / "noto_twemoji"))
    import build

    def entry(code: str, name: str, category: str = "Objects", sub: str = "other") -> dict:
        return {"image": f"{code}.png", "unified": code.upper(), "short_name": name,
                "category": category, "subcategory": sub}  # fmt: skip

    entries = [entry(f"1f5{k:02x}", f"thing{k}") for k in range(40)]
    entries += [entry(f"1f55{k:x}", f"clock{k}", "Clocks") for k in range(8)]
    entries += [entry("1f1e6", "flag-a", sub="country-flag"), entry("1f6ff", "only_noto")]
    for vendor in ("google", "twitter"):
        path = tmp_path / f"emoji-datasource-{vendor}-{build.VERSION}.tgz"
        with tarfile.open(path, "w:gz") as archive:
            files = {"package/emoji.json": json.dumps(entries).encode()}
            for k, row in enumerate(entries):
                if vendor == "google" or row["short_name"] != "only_noto":
                    files[f"package/img/{vendor}/64/{row['image']}"] = encoded(
                        Image.new("RGBA", (64, 64), (4 * k, len(vendor), 0, 255))
                    )
            for name, content in files.items():
                member = tarfile.TarInfo(name)
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
    build.build(tmp_path, tmp_path / "out")
    module = data("paired_folder", f"data.root={tmp_path / 'out'}", "data.source=noto",
                  "data.target=twemoji", "data.size=16")  # fmt: skip
    ids = {split: module.translatable(split).ids for split in ("train", "val", "test")}
    assert sum(map(len, ids.values())) == 48 and all(ids.values())
    clocks = {split for split, names in ids.items() for n in names if n.startswith("1f55")}
    assert len(clocks) == 1


def test_pool_too_small_for_a_split_says_so(tmp_path: Path) -> None:
    fill(tmp_path / "a", 1)
    name = "000.png"
    empty = next(s for s in ("train", "val", "test") if hash_split(name) != s)
    with pytest.raises(ValueError, match=f"none of the 1 .*falls into {empty}.*split all"):
        Folders().images(str(tmp_path / "a"), empty, 8)


def test_of_a_pool_val_and_test_stand_in_for_each_other(tmp_path: Path) -> None:
    named = {hash_split(f"{i:03d}.png"): i for i in range(99, -1, -1)}
    for there, empty in (("val", "test"), ("test", "val")):
        for split in ("train", there):
            fill(tmp_path / there, 1, start=named[split])
        with pytest.warns(UserWarning, match=f"falls into {empty}; those of {there} serve as both"):
            found = Folders().images(str(tmp_path / there), empty, 8)
        assert found.ids == [f"{named[there]:03d}.png"]
