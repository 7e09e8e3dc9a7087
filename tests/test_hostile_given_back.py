"""A stranger's config.yaml, and what lies beside it, given back: by defaults lists, packages,
sweeps, aliases, tags and names of files."""

from __future__ import annotations

from pathlib import Path

import pytest
from hydra.core.global_hydra import GlobalHydra

from egsde.programs import cli
from egsde.programs.folders import given_back

CALLBACK = "{a: {_target_: os.mkdir, path: MARK}}"
HANDLER = "version: 1\nhandlers: {x: {(): os.mkdir, path: MARK}}\nroot: {handlers: [x]}"
GLOBAL = f"# @package _global_\nhydra: {{callbacks: {CALLBACK}}}"
ONE = "defaults: [x: b, _self_]"
LAUGHS = "a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1]\n" + "".join(
    f"a{k}: &a{k} [{', '.join([f'*a{k - 1}'] * 8)}]\n" for k in range(1, 12)
)
FILES: dict[str, tuple[dict[str, str], str]] = {  # name: files; overrides
    # of Hydra's own settings
    "working folder": ({"config": "hydra: {job: {chdir: true}}"}, ""),
    "copied variables": ({"config": "hydra: {job: {env_copy: [HOME]}}"}, ""),
    "folder of a variable": ({"config": "hydra: {run: {dir: '${oc.env:HOME}/x'}}"}, ""),
    "messages elsewhere": ({"config": "hydra: {job: {name: ../../../MARK}}"}, ""),
    "messages at a root": ({"config": "hydra: {job: {name: /MARK}}"}, ""),
    "messages by a resolver": ({"config": "hydra: {job: {name: '${oc.env:HOME}'}}"}, ""),
    "messages' name beside": (
        {"config": "defaults: [n, _self_]", "n": "# @package hydra.job\nname: ../MARK"}, ""),
    "subfolder": ({"config": "hydra: {output_subdir: ../../MARK}"}, ""),
    "sweep's subfolder": ({"config": "hydra: {sweep: {subdir: ../../MARK}}"}, ""),
    "search space": ({"config": "hydra: {sweeper: {params: {seed: '1,2'}}}"}, ""),
    "merged keys": ({"config": f"base: &b {{callbacks: {CALLBACK}}}\nhydra: {{<<: *b}}"}, ""),
    "a key twice": ({"config": f"hydra: {{}}\nhydra: {{callbacks: {CALLBACK}}}"}, ""),
    "a dotted key": ({"config": f"hydra.callbacks: {CALLBACK}"}, ""),
    "a key of a group": ({"config": f"hydra/callbacks: {CALLBACK}"}, ""),
    "header": ({"config": f"# @package hydra\ncallbacks: {CALLBACK}"}, ""),
    "deeper header": ({"config": "# @package hydra.callbacks.a\n_target_: os.mkdir"}, ""),
    "header of variables": ({"config": "# @package hydra.job.env_set\nLD_PRELOAD: MARK"}, ""),
    "colours of messages": ({"config": "hydra: {job_logging: {formatters: {x: {(): os.mkdir}}}}"},
                            ""),
    "filters of messages": ({"config": "hydra: {hydra_logging: {filters: {x: {(): os.mkdir}}}}"},
                            ""),
    # by defaults lists
    "absolute group": ({"config": "defaults: [/hydra/callbacks: a, _self_]",
                        "hydra/callbacks/a": CALLBACK}, ""),
    "optional launcher": ({"config": "defaults: [{optional hydra/launcher: a}]",
                           "hydra/launcher/a": "_target_: os.mkdir"}, ""),
    "package": ({"config": "defaults: [x@hydra.callbacks: a, _self_]", "x/a": CALLBACK}, ""),
    "global package": ({"config": "defaults: [x@_global_: a, _self_]",
                        "x/a": f"hydra: {{callbacks: {CALLBACK}}}"}, ""),
    "nested": ({"config": "defaults: [b, _self_]",
                "b": "defaults: [x@_global_.hydra.callbacks: a]", "x/a": CALLBACK}, ""),
    "three deep": ({"config": "defaults: [b]", "b": "defaults: [c]", "c": "defaults: [d]",
                    "d": GLOBAL}, ""),
    "another's choice": ({"config": "defaults: [y: a, 'x@_global_: ${y}', _self_]", "y/a": "b: 1",
                          "x/a": f"hydra: {{callbacks: {CALLBACK}}}"}, ""),
    "list of files": ({"config": "defaults: [x: [a, b]]", "x/a": "b: 1", "x/b": GLOBAL}, ""),
    "override": ({"config": "defaults: [override hydra/job_logging: z]",
                  "hydra/job_logging/z": HANDLER}, ""),
    "no list": ({"config": "defaults: abc"}, ""),
    "upwards": ({"config": "defaults: [../../../etc/hosts, _self_]"}, ""),
    "a package of Python": ({"config": "defaults: [pkg://os]"}, ""),
    "circle": ({"config": "defaults: [a]", "a": "defaults: [b]", "b": "defaults: [a]"}, ""),
    "itself twice": ({"config": "defaults: [_self_, _self_]"}, ""),
    # by what is chosen on the command line
    "chosen": ({"config": ONE, "x/b": "c: 1", "x/a": GLOBAL}, "x=a"),
    "chosen by a sweep": ({"config": ONE, "x/b": "c: 1", "x/a": GLOBAL}, "-m x=b,a"),
    "chosen by choice": ({"config": ONE, "x/b": "c: 1", "x/a": GLOBAL}, "-m x=choice(b,a)"),
    "chosen by a pattern": ({"config": ONE, "x/b": "c: 1", "x/a": GLOBAL}, "-m x=glob(*)"),
    "added by a sweep": ({"config": "a: 1", "x/b": "c: 1", "x/a": GLOBAL}, "-m +x=a,b"),
    "swept into a package": (
        {"config": "defaults: [x@_global_: b, _self_]", "x/b": "c: 1",
         "x/a": f"hydra: {{callbacks: {CALLBACK}}}"}, "-m x@_global_=b,a"),
    "a job's folder": (
        {"config": ONE, "x/b": "c: 1",
         "x/a": "# @package _global_\nhydra: {sweep: {subdir: ../../MARK}}"}, "-m x=b,a"),
    "a job's variables": (
        {"config": ONE, "x/b": "c: 1", "x/a": "# @package hydra.job.env_set\nPATH: MARK"},
        "-m x=b,a seed=1,2"),
    "two sweeps together": (
        {"config": "defaults: [x: b, y: b, z@_global_: '${x}${y}', _self_]", "x/b": "c: 1",
         "x/a": "c: 1", "y/b": "c: 1", "y/a": "c: 1", "z/bb": "c: 1", "z/ab": "c: 1",
         "z/ba": "c: 1", "z/aa": f"hydra: {{callbacks: {CALLBACK}}}"}, "-m x=b,a y=b,a"),
    # by YAML
    "aliases that grow": ({"config": LAUGHS}, ""),
    "aliases that grow beside": ({"config": "defaults: [b, _self_]", "b": LAUGHS}, ""),
    "aliases that grow in a job": ({"config": ONE, "x/b": "c: 1", "x/a": LAUGHS}, "-m x=b,a"),
    "an endless list": ({"config": "a: &a [*a]"}, ""),
    "an endless list beside": ({"config": "defaults: [b]", "b": "a: &a {b: *a}"}, ""),
    "tag": ({"config": "!!python/object/apply:os.mkdir [MARK]"}, ""),
    "tag of a value": ({"config": "seed: !!python/object/apply:os.mkdir [MARK]"}, ""),
    "tag beside": ({"config": "defaults: [b]", "b": "a: !!python/object/new:os.mkdir [MARK]"}, ""),
    "two documents": ({"config": f"seed: 1\n---\nhydra: {{callbacks: {CALLBACK}}}"}, ""),
    "bytes": ({"config": "\x00\x01"}, ""),
}  # fmt: skip


def asked(folder: Path, files: dict[str, str], overrides: str) -> list[str]:
    for name, text in files.items():
        path = folder / f"{name}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text.replace("MARK", str(folder / "mark")))
    words = overrides.split()
    sweep = [word for word in words if word == "-m"]
    given = ["--config-path", str(folder), "--config-name", "config", *words[len(sweep) :]]
    GlobalHydra.instance().clear()
    return given_back("train", [*sweep, *given])


def test_what_a_given_back_file_reaches(tmp_path):
    assert len(FILES) >= 50 and cli.CONF.is_dir()  # with cli, interpolations are known
    for number, (name, (files, overrides)) in enumerate(FILES.items()):
        folder = tmp_path / str(number)
        try:
            asked(folder, files, overrides)
        except ValueError as error:
            assert str(folder / "config.yaml") in str(error), name
        else:
            pytest.fail(f"{name} is taken")
        assert not (folder / "mark").exists(), name


@pytest.mark.parametrize(
    ("files", "overrides"),
    [({"config": "seed: 1\nout: x"}, ""), ({"config": "seed: 1\nout: x"}, "-m seed=1,2"),
     ({"config": "a: &a {b: 1}\nc: {<<: *a}\nd: [*a, *a]\nout: x"}, ""),
     ({"config": f"{ONE}\nout: x", "x/b": "c: 1", "x/a": "c: 2"}, "-m x=a,b"),
     ({"config": "hydra: {job: {name: train}}\nout: x"}, "")],
    ids=range(5),
)  # fmt: skip
def test_genuine_ones_are_taken(tmp_path, files, overrides):
    assert asked(tmp_path, files, overrides)
