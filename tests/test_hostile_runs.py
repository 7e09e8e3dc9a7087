"""Runs' folders that a stranger has sent, before what shows and compares them: each answer is in
words, no file is read that is no picture, and nothing in them becomes part of a page."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from egsde.evaluation import runs
from egsde.programs import compare, report
from egsde.programs.messages import readable
from egsde.programs.study import _cells, _rank
from test_hostile import MARK

SCRIPT = "<script>alert(1)</script>"
MADE = '{"config": {"data": {"_target_": "os.system", "command": "touch MARK"}, "split": "test"}}'
FILES: dict[str, list[str]] = {
    "metrics.json": [
        "", "[]", "null", "{", "[" * 5000, '{"metrics": []}', '{"metrics": {"l2": NaN}}',
        '{"metrics": {"l2": 1e999}}', '{"metrics": {"l2": %s}}' % ("9" * 400),
        '{"metrics": {"l2": %s}}' % ("9" * 5000), '{"metrics": {"' + SCRIPT + '": 1}}',
        '{"metrics": {"l2": 1}, "intervals": {"l2": [null, 1]}}', '{"metrics": {"l2": null}}',
        '{"nfe": {"score": null}}', '{"nfe": 3}', '{"seconds_per_image": "x"}', '{"n": "many"}',
        '{"metrics": {"l2": 1}, "protocol": {"a": {"b": [1]}}}', '{"metrics": {"": 3}}',
    ],
    "run.json": [
        "", "[]", "{", '{"config": 3}', '{"config": {"data": 3}}', MADE, '{"command": ["a"]}',
        MADE.replace("os.system", "egsde.programs.run.save_yaml"), '{"command": "\'unclosed"}',
        '{"config": {"data": {"source": "a"}, "split": "test"}}', '{"config": {"data": {}}}',
        '{"config": {"data": {"_target_": "egsde.data.TwoDomains"}, "split": ["a"]}}',
        '{"config": {"data": "${oc.env:HOME}"}}', '{"config": {"translator": {"_target_": 3}}}',
        '{"command": "' + SCRIPT + '"}', '{"weights": [1]}', '{"program": ["x"]}', '{"images": 3}',
    ],
    "images.csv": [
        "", "id\n", "id,l2\n0.png\n", "id,l2\n0.png,abc\n", "id,l2\n0.png,1,2,3\n", "id,id\na,b\n",
        "id,l2\n../../x.png,1\n", "id,l2\n%s,1\n" % ("a" * 200_000), 'id,l2\n"0.png,1\n', "\0\0",
        "id,l2\n" + SCRIPT + ",1\n", "id,l2\n0.png,inf\n", "id," + SCRIPT + "\n0.png,1\n",
    ],
    "files.csv": [
        "id,output\na,/dev/zero\n", "id,output\na,/etc/passwd\n", "id,output\na\n", "id\na\n",
        "id,output,source\na,0.png,/dev/zero\n", "id,output\na,%s\n" % ("x" * 5000),
        "id,output,output\na,b,c,d\n", "id,source\na,x\n", "id,output\na,/dev/stdin\n",
    ],
}  # fmt: skip


def a_run(folder: Path) -> Path:
    (folder / "images").mkdir(parents=True)
    for k in range(2):
        pixels = np.full((8, 8, 3), k, np.uint8)
        Image.fromarray(pixels).save(folder / "images" / f"{k}.png")
    config = {"split": "test", "data": {"size": 8, "source": "a"}}
    contents = {
        "run.json": {"program": "sample.py", "command": "python sample.py", "config": config},
        "metrics.json": {"n": 2, "nfe": {"score": 3}, "metrics": {"l2": 1.0},
                         "intervals": {"l2": [0, 2]}},
    }  # fmt: skip
    for name, content in contents.items():
        (folder / name).write_text(json.dumps(content))
    (folder / "images.csv").write_text("id,l2\n0.png,1\n1.png,2\n")
    return folder


@pytest.mark.parametrize(
    ("file", "text"), [(f, t) for f, texts in FILES.items() for t in texts], ids=lambda x: x[:16]
)
def test_what_is_shown_of_a_strangers_run(tmp_path, file, text):
    mark, mine = tmp_path / MARK, a_run(tmp_path / "mine")
    theirs = a_run(tmp_path / "theirs")
    (theirs / file).write_text(text.replace("MARK", shlex.quote(str(mark))))
    looks = (
        lambda: report.main([str(theirs)]),
        lambda: compare.main([str(mine), str(theirs), f"out={tmp_path / 'both'}"]),
        lambda: (_cells(found := runs.load(theirs)), _rank(found), found.nfe, found.intervals),
    )
    for look in looks:
        try:
            look()
        except Exception as error:
            said = readable(error, "sample")
            assert said is not None and ("theirs" in said or "share no image" in said), error
    pages = "".join(page.read_text() for page in tmp_path.rglob("*.html"))
    assert SCRIPT not in pages and str(Path.home()) not in pages and not mark.exists()
