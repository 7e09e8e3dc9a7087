"""Wrong calls of the tools, which take runs in place of settings, with words of each answer."""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path

from answers import Do, Row
from egsde.programs.start import TOOLS
from folders import fill


def call(tool: str, *arguments: str) -> Do:
    """`egsde TOOL arguments` in a folder with two domains, a text, an empty run and one without
    pictures."""

    def do(folder: Path) -> None:
        for k, domain in enumerate(("a", "b")):
            fill(folder / domain, 3, start=9 * k)
        (folder / "notes.txt").write_text("text")
        (folder / "w.safetensors").write_bytes(b"x")
        (folder / "empty").mkdir()
        (folder / "images" / "images").mkdir(parents=True)
        (folder / "run").mkdir()
        (folder / "run" / "run.json").write_text("{}")
        key = {"study": "s", "systems": ["a", "b"], "pairs": {}}
        (folder / "key.json").write_text(json.dumps(key))
        before = sorted(folder.rglob("*"))
        given = [argument.replace("FOLDER", str(folder)) for argument in arguments]
        try:
            import_module(TOOLS[tool]).main(given)
        finally:
            left = set(folder.rglob("*")) - set(before)
            assert not left, f"left behind: {left}"

    return do


def calls(tool: str, *pairs: tuple[str, str]) -> list[Row]:
    """Rows of one command line, between blanks, and the words expected."""
    return [Row(f"`egsde {tool} {g}`".replace("FOLDER/", ""), call(tool, *g.split()), w, "sample")
            for g, w in pairs]  # fmt: skip


TWO = "source=FOLDER/a target=FOLDER/b minutes=1"
ROWS = [
    *calls(
        "report",
        ("", "name the folder of a run"),
        ("FOLDER/nowhere", "no folder at"),
        ("FOLDER/notes.txt", "no folder at"),
        ("FOLDER/a", "it holds no run.json"),
        ("FOLDER/images", "holds no pictures and no numbers"),
        ("FOLDER/run", "is no run of sample.py or evaluate.py that has left images"),
        ("FOLDER/run images=0", "a whole number of at least 1"),
        ("FOLDER/run imges=3", "did you mean images=?"),
        ("FOLDER/run --images=3", "settings have no dashes: images=VALUE"),
    ),
    *calls(
        "compare",
        ("", "name the folders of runs"),
        ("FOLDER/a FOLDER/b", "say where the comparison goes"),
        ("FOLDER/a out=FOLDER/x", "a comparison needs two runs at least"),
        ("FOLDER/nowhere FOLDER/a out=FOLDER/x", "no folder at"),
        ("FOLDER/a FOLDER/b out=FOLDER/notes.txt", "is a file, not a folder"),
        ("FOLDER/a FOLDER/b out=/proc/x", "nothing can be made in /proc"),
        ("FOLDER/a FOLDER/b output=FOLDER/x", "did you mean out=?"),
    ),
    *calls(
        "pairs",
        ("FOLDER/a", "name two runs at least"),
        ("FOLDER/a FOLDER/b", "say where the page goes"),
        ("FOLDER/a FOLDER/b out=FOLDER/x seed=1.5", "a whole number of at least 0"),
        ("score", "name the files of answers"),
        ("score FOLDER/nowhere", "no file at"),
        ("score FOLDER/notes.txt", "notes.txt is damaged or no JSON"),
        ("score FOLDER/run/run.json key=FOLDER/key.json", "run.json holds no answers"),
        ("score FOLDER/run/run.json key=FOLDER/run/run.json", "run.json is no key of a study"),
    ),
    *calls(
        "demo",
        ("FOLDER/nowhere", "is no folder of a run of sample.py"),
        ("FOLDER/a FOLDER/b", "a demo is of one run"),
        ("FOLDER/run", "does not say how the run was started"),
        ("data.source=notes.txt", "data.source is no setting of egsde demo; there is host, port"),
        ("port=70000", "at least 1 and at most 65535 is wanted"),
        ("prot=3", "did you mean port=?"),
    ),
    *calls(
        "tune",
        ("FOLDER/notes.txt", "is no setting; write KEY=VALUE"),
        ("minutes=soon", "a finite number of at least 0"),
        ("limit=1", "a whole number of at least 2"),
        ("out=FOLDER/run", "is the folder of a run of sample.py, whose files egsde tune would"),
        ("out=FOLDER/notes.txt", "is a file, not a folder"),
        ("out=FOLDER/x split=test", "split is set by egsde tune itself"),
        ("out=FOLDER/x data.limit=3", "data.limit is set by egsde tune itself"),
        ("out=FOLDER/x data.source=nowhere", "was not trained for these"),
        ("out=FOLDER/x data.source=nowhere check=false", "fluent style 'nowhere' is unknown"),
    ),
    *calls(
        "study",
        ("", "needs source=, target=, minutes="),
        ("source=FOLDER/a target=FOLDER/b", "needs minutes="),
        (f"{TWO} methods=[]", "methods=[] names no method; there is sdedit"),
        (f"{TWO} methods=[magic]", "methods=magic is unknown"),
        (f"{TWO} methods=[egsde,egsde]", "names one twice"),
        (f"{TWO} size=0", "size=0"),
        (f"{TWO} out=FOLDER/run", "whose files egsde study would overwrite"),
        (f"{TWO} out=FOLDER/x score=FOLDER/nowhere", "give a file that exists: score=PATH"),
        (f"{TWO} out=FOLDER/x score=FOLDER/w.safetensors", "is no whole safetensors file"),
        (f"{TWO} out=FOLDER/x judge=FOLDER/notes.txt", "holds no configuration"),
        (f"{TWO} out=FOLDER/x size=17", "cannot be halved"),
        ("source=FOLDER/empty target=FOLDER/b minutes=1 out=FOLDER/x", "no images of"),
        ("source=FOLDER/notes.txt target=FOLDER/b minutes=1 out=FOLDER/x", "neither a folder nor"),
    ),
]
