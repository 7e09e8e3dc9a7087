"""egsde demo [RUN] [host=127.0.0.1] [port=7860]

A page to try a translation on: upload an image, choose the method, where it starts and the weights
of the energies, and watch it come about. It runs here, asks nothing of the network, and only this
machine can open it unless host says otherwise. Needs gradio: pip install "egsde[demo]".

RUN    the out= folder of a run of sample.py, whose networks and settings are taken; without it the
       embedded ones
host   0.0.0.0 lets others in the network open the page
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

from PIL import Image

from egsde.programs.at_home import AtHome
from egsde.programs.commands import check_command
from egsde.programs.demo_views import walk
from egsde.programs.load import PictureTranslator, load
from egsde.programs.records import read_record
from egsde.programs.words import split, whole_number
from egsde.scores.files import makes_both

ABSENT = 'egsde demo needs gradio, which is not installed: pip install "egsde[demo]"'
METHODS = {  # beside a score: what each needs
    "ddib_egsde": ("source_score", "extractor"), "egsde": ("extractor",),
    "egsde_fast": ("extractor",), "sdedit": (), "cycle_diffusion": ("source_score",),
    "ddib": ("source_score",), "cycle_egsde": ("source_score", "extractor"),
}  # fmt: skip
STYLE = """<style>  /* names beside the pictures, not on them; no link to other machines */
footer, .icon-button[aria-label=Share], .icon-button[title=Share] { display: none !important }
#source .image-frame, #result .image-frame { padding: 34px 6px 6px }
#energies .icon-button-wrapper { display: none }
#states .grid-container, #denoised .grid-container {
  grid-template-columns: repeat(auto-fill, minmax(76px, 1fr)) !important; padding-top: 34px }
#states .caption-label, #denoised .caption-label { padding: 0 4px; font-size: 11px }
</style>"""
OWN = re.compile(r"[+~]*(translator|out|limit|split|logger|trainer|metrics|shard|report)\b")


def main(arguments: Sequence[str]) -> None:
    """The command line: egsde demo [RUN]. ValueError for more than one."""
    runs, settings = split(
        "demo", arguments, host=(str, "127.0.0.1"), port=(whole_number(1, 65535), 7860)
    )
    if len(runs) > 1:
        raise ValueError(f"a demo is of one run, got {', '.join(runs)}")
    chosen = networks_of_run(Path(runs[0]).expanduser()) if runs else Networks()
    app = application(chosen)
    import uvicorn

    print(f"the demo is at http://{settings['host']}:{settings['port']}; Ctrl-C ends it")
    uvicorn.run(
        app, host=settings["host"], port=settings["port"], log_level="warning",
        timeout_graceful_shutdown=2,  # a page that is open would hold it
    )  # fmt: skip


@dataclass(frozen=True)
class Networks:
    """What the command line of a run says beside its method, and which networks there are."""

    given: tuple[str, ...] = ("experiment=demo",)
    there: tuple[str, ...] = ("score", "source_score", "extractor")

    @property
    def methods(self) -> list[str]:
        """Those that the networks at hand are enough for."""
        return [name for name, needs in METHODS.items() if set(needs) <= set(self.there)]


def networks_of_run(folder: Path) -> Networks:
    """Of a run of sample.py; ValueError where it does not say how it was started."""
    if not (folder / "run.json").is_file():
        raise ValueError(f"{folder.absolute()} is no folder of a run of sample.py: no run.json")
    record = read_record(folder / "run.json")
    if not record.get("command"):
        raise ValueError(
            f"{folder / 'run.json'} does not say how the run was started, as runs of earlier "
            "versions and of Python do not; run sample.py again, or give no run"
        )
    try:
        words = [w for w in shlex.split(str(record["command"]))[2:] if not OWN.match(w)]
        check_command(words)
    except ValueError as error:
        raise ValueError(f"{folder / 'run.json'}: its command: {error}") from error
    there = ["source_score" if n == "start_score" else n for n in record.get("weights") or ()]
    score = (record.get("config") or {}).get("score")
    weights = score.get("weights") if isinstance(score, dict) else None
    if isinstance(weights, str) and makes_both(weights):
        there.append("source_score")
    return Networks(tuple(words), tuple(dict.fromkeys(there)))


@lru_cache(maxsize=4)
def translator(
    networks: Networks, method: str, start: float, steps: int, weights: tuple[float, float]
) -> PictureTranslator:
    """One method with these settings; the last few are kept."""
    steps_of = "translator.steps" if method == "egsde_fast" else "sampler.grid.steps"
    own = [f"translator={method}", f"translator.t_start={start:g}", f"{steps_of}={steps}"]
    names = zip(("realism", "faithfulness"), weights, strict=True)
    if "extractor" in METHODS[method]:
        own += [f"energy.weights.{name}={value:g}" for name, value in names]
    set_here = tuple(f"{word.split('=')[0]}=" for word in own)
    kept = [word for word in networks.given if not word.lstrip("+").startswith(set_here)]
    return load("demo", *kept, *own)


def blocks(networks: Networks) -> Any:
    """The page, in what gradio 4 to 6 share. ValueError where gradio is absent."""
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # read when gradio is imported
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    try:
        import gradio
    except ImportError as error:
        if (error.name or "").partition(".")[0] != "gradio":
            raise ValueError(f"gradio is installed and cannot be imported: {error}") from error
        raise ValueError(ABSENT) from error

    def translate(
        picture: Image.Image | None, method: str, start: float, steps: float,
        realism: float, faithfulness: float, seed: float,
    ) -> Iterator[tuple]:  # fmt: skip
        if picture is None:
            raise gradio.Error("upload an image first")
        try:
            made = translator(networks, method, start, int(steps), (realism, faithfulness))
            for view in walk(made, picture, int(seed)):
                yield view.source, view.result, view.denoised, view.states, view.energies
        except ValueError as error:
            raise gradio.Error(str(error)) from error

    def guided(method: str) -> tuple[Any, Any]:
        """The weights can be moved where the method has energies."""
        moves = gradio.update(interactive="extractor" in METHODS[method])
        return moves, moves

    shown = partial(gradio.Image, type="pil", format="png", interactive=False)
    gallery = partial(gradio.Gallery, columns=6, format="png", interactive=False)
    with gradio.Blocks(title="egsde", analytics_enabled=False) as page:
        gradio.HTML(STYLE)
        gradio.Markdown("# egsde\nTranslate an image and watch it come about.")
        with gradio.Row():
            with gradio.Column():
                picture = gradio.Image(type="pil", label="image", elem_id="picture")
                known = networks.methods
                method = gradio.Dropdown(known, value=known[0], label="method", elem_id="method")
                start = gradio.Slider(
                    0.05, 1.0, value=0.3, step=0.05, elem_id="start",
                    label="start: near 0 keeps the source, 1 forgets it",
                )  # fmt: skip
                steps = gradio.Slider(
                    10, 200, value=40, step=10, label="steps from 1 to 0", elem_id="steps"
                )
                realism = gradio.Slider(
                    0, 2000, value=1000, step=50, label="weight of realism", elem_id="realism"
                )
                faithfulness = gradio.Slider(
                    0, 20, value=4, step=0.5, label="weight of faithfulness",
                    elem_id="faithfulness",
                )  # fmt: skip
                seed = gradio.Slider(0, 99, value=0, step=1, label="seed", elem_id="seed")
                button = gradio.Button("translate", elem_id="translate")
            with gradio.Column():
                with gradio.Row():
                    source = shown(label="source", elem_id="source")
                    result = shown(label="translation", elem_id="result")
                denoised = gallery(label="denoised estimates", elem_id="denoised")
                states = gallery(label="states", elem_id="states")
                drawn = shown(label="energies", show_label=False, elem_id="energies")
        method.change(guided, method, [realism, faithfulness], api_name=False)
        button.click(
            translate,
            [picture, method, start, steps, realism, faithfulness, seed],
            [source, result, denoised, states, drawn],
            api_name=False,
        )
    page.queue()
    return page


def application(networks: Networks) -> Any:
    """The page as an ASGI application whose answers name nothing elsewhere."""
    page = blocks(networks)
    import gradio
    from fastapi import FastAPI

    return AtHome(gradio.mount_gradio_app(FastAPI(), page, path="/"))
