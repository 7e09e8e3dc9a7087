"""Mistakes with weights, objectives and measures, and what machines and services refuse."""

from __future__ import annotations

from pathlib import Path

import torch
from hydra.errors import HydraException
from safetensors.torch import save_file

from answers import Do, Row
from egsde.evaluation.metrics import Suite
from egsde.networks import load_official, read_weights
from egsde.programs.line import one_of
from egsde.programs.train import _checkpoint_to_resume
from egsde.scores.container import find, read_config
from egsde.scores.files import load_extractor, load_score
from egsde.sde import DDPM, VP


def given(name: str, content: bytes) -> Do:
    def do(folder: Path) -> None:
        (folder / name).write_bytes(content)
        read_weights(folder / name)

    return do


def saved(name: str, content: object) -> Do:
    def do(folder: Path) -> None:
        torch.save(content, folder / name)
        read_weights(folder / name)

    return do


def resumed(name: str) -> Do:
    """resume= another file than a checkpoint."""

    def do(folder: Path) -> None:
        state = {"a": torch.zeros(1)}
        save_file(state, folder / "weights.safetensors")
        torch.save(state, folder / "net.pt")
        torch.save([state], folder / "list.ckpt")
        (folder / "run").mkdir()
        _checkpoint_to_resume(str(folder / name), folder / "out", {})

    return do


def cut(name: str) -> Do:
    def do(folder: Path) -> None:
        state = {"a": torch.zeros(2000)}
        if name.endswith(".safetensors"):
            save_file(state, folder / name)
        else:
            torch.save(state, folder / name)
        (folder / name).write_bytes((folder / name).read_bytes()[:-900])
        read_weights(folder / name)

    return do


def raised(error: Exception) -> Do:
    def do(folder: Path) -> None:
        raise error

    return do


class UsageError(Exception):
    """As wandb.errors.UsageError."""


PAGE = b"<!DOCTYPE html><html><head><title>Google Drive - Virus scan warning"
DEMO = "demo/flat_and_3d.safetensors"
ADM = {"image_size": 16, "num_channels": 32, "channel_mult": [1], "num_head_channels": 32}

ROWS = [
    Row("a web page as `net.pt`", given("net.pt", PAGE), "is a web page, not weights"),
    Row("a web page as `net.safetensors`", given("net.safetensors", PAGE), "Google Drive does"),
    Row("a web page as `net.pth`", given("net.pth", b"<html lang=en>"), "is a web page"),
    Row("an XML answer as `net.pt`", given("net.pt", b"<?xml version='1.0'?><Error>"), "web page"),
    Row("an empty `net.pt`", given("net.pt", b""), "FOLDER/net.pt is empty"),
    Row("an empty `net.safetensors`", given("net.safetensors", b""), "is empty"),
    Row("a blank `net.pt`", given("net.pt", b" \n\n"), "is empty"),
    Row("a pointer of Git LFS", given("n.pt", b"version https://git-lfs.github.com"), "lfs pull"),
    Row("half of `net.pt`", cut("net.pt"), "FOLDER/net.pt is cut short or damaged"),
    Row("half of `net.safetensors`", cut("net.safetensors"), "is cut short or damaged"),
    Row("text as `net.pt`", given("net.pt", b"hello"), "is cut short or damaged"),
    Row("a picture as `net.pt`", given("net.pt", b"\x89PNG\r\n\x1a\n"), "cut short or damaged"),
    Row("`net.h5`", given("net.h5", b"x"), "cannot read weights from net.h5"),
    Row("`resume=RUN/weights.safetensors`", resumed("weights.safetensors"),
        "holds no state of a training, which RUN/checkpoints/last.ckpt does"),
    Row("`resume=net.pt`, weights of others", resumed("net.pt"), "begin a new one: init_weights="),
    Row("`resume=list.ckpt`, a list", resumed("list.ckpt"), "holds no state of a training"),
    Row("`resume=RUN`, a folder", resumed("run"), "run is a folder"),
    Row("an optimiser's state", saved("net.pt", {"lr": 0.1, "step": 3}), "holds no state dict"),
    Row("a list of numbers", saved("net.pt", [1, 2]), "holds no state dict"),
    Row("a whole module", saved("net.pt", torch.nn.Linear(1, 1)), "save module.state_dict() alone"),
    Row("no weights given", lambda f: find(None, "score.weights"), "add score.weights=PATH"),
    Row("`score.weights=RUN`, a folder", lambda f: find(f, "score.weights"), "is a folder; give a"),
    Row("`score.weights=https://example.com/net.pt`",
        lambda f: find("https://example.com/net.pt", "score.weights"), "is an address; download"),
    Row("`score.weights=nowhere.pt`", lambda f: find(f / "nowhere.pt", "score.weights"),
        "no weights at FOLDER/nowhere.pt"),
    Row("a score as `extractor.weights`", lambda f: load_extractor(DEMO, DDPM()),
        "holds a labelled score, not a classifier"),
    Row("a score under another `sde`", lambda f: load_score(DEMO, VP(beta_max=5.0)),
        "choose the sde= it was trained with"),
    Row("`score.use=best`", lambda f: load_score(DEMO, DDPM(), "best"), "choose one of these"),
    Row("an official network of another width", lambda f: load_official(
        "adm", ADM, load_official_state(64)), "misshaped keys"),
    Row("an option that no network has", lambda f: load_official("adm", {**ADM, "chanels": 3}, {}),
        "unknown options ['chanels']"),
    Row("an official network without its size", lambda f: load_official(
        "adm", {"num_channels": 32}, {}), "give the side of the training images"),
    Row("a foreign safetensors as `score=trained`", lambda f: foreign(f), "score=adm_256"),
    Row("SSIM of 8 px", lambda f: Suite(fid=False, kid=False).check(8), "~metrics.pairwise.ssim"),
    Row("`objective=fdi`", lambda f: one_of("objective", "fdi", Suite().names),
        "did you mean objective=fid?", "sample"),
    Row("`objective=accuracy metrics=pairwise`", lambda f: one_of(
        "objective", "accuracy", Suite(fid=False, kid=False, prc=False).names), "there is l2",
        "sample"),
    Row("`objective=l2 metrics=none`", lambda f: one_of("objective", "l2", []), "there is none",
        "sample"),
    Row("no room on the device while training",
        raised(torch.cuda.OutOfMemoryError("CUDA out of memory")), "smaller data.batch_size"),
    Row("no room on the device while translating",
        raised(torch.cuda.OutOfMemoryError("CUDA out of memory")), "data.eval_batch_size",
        "sample"),
    Row("no room in the machine's memory",
        raised(RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried 9 TB")),
        "out of memory: use a smaller data.batch_size"),
    Row("`logger=wandb` without a login", raised(UsageError("No API key configured. Use `wandb "
        "login` to log in.")), "logger.wandb.offline=true"),
    Row("`hparams_search=optuna` without its extra", raised(HydraException(
        "Could not find 'hydra/sweeper/optuna'\n\nAvailable options in 'hydra/sweeper':\n\tbasic")),
        'pip install "egsde[sweep]"', "sample"),
]  # fmt: skip


def load_official_state(width: int) -> dict[str, torch.Tensor]:
    from egsde.networks import ADMUNet

    return ADMUNet(16, num_channels=width, channel_mult=[1], num_head_channels=32).state_dict()


def foreign(folder: Path) -> None:
    save_file({"a": torch.zeros(2)}, folder / "net.safetensors")
    read_config(folder / "net.safetensors")
