"""Configurations from a file of a run: what they may name is what our own conf names.

run.json and config.yaml hold Python paths, and building one calls what stands there. A file may
come from anyone, so a path that conf does not name needs allow=[package] from the person.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from itertools import product
from math import inf
from pathlib import Path
from typing import Any

import yaml
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig, OmegaConf

from egsde.programs.resumed import flat
from egsde.programs.settings import CONF

NAMED = re.compile(r"_target_\s*[:=]\s*([\w.]+)|path: (egsde[\w.]+)")
STARTERS = ("callbacks", "launcher", "sweeper", "searchpath")  # of Hydra: begin before we do
OF_HYDRA = re.compile(r"[+~]*(hydra|hparams_search)\b")
FREE = re.compile(r"(runtime|help|hydra_help)\.|job\.(name|config_name|override_dirname)$")
GETS = "hydra.utils.get_method"
DEEPEST = 40
MOST = 10**5  # values of a file
NAME = re.compile(r"[\w-]+|\?\?\?|None")


@cache
def known() -> frozenset[str]:
    """Every path that conf names, in a setting or in a comment on one."""
    texts = (path.read_text(encoding="utf-8") for path in sorted(CONF.rglob("*.yaml")))
    found = (name for text in texts for pair in NAMED.findall(text) for name in pair)
    return frozenset(name for name in found if name)


def nodes(node: Any, place: str = "", depth: int = 0) -> Iterator[tuple[str, Any]]:
    """Everything in a configuration, itself first, with its key and those above it. ValueError for
    one that is too deep."""
    if depth > DEEPEST:
        raise ValueError(f"it is nested more than {DEEPEST} deep")
    yield place, node
    if isinstance(node, Mapping):
        for key, value in node.items():
            yield from nodes(value, f"{place}.{key}" if place else str(key), depth + 1)
    elif isinstance(node, list):
        for value in node:
            yield from nodes(value, place, depth + 1)


def check_names(node: Any, allow: tuple[str, ...] = ()) -> None:
    """ValueError for a part of another package."""
    for _, part in nodes(node):
        if isinstance(part, Mapping):
            for key in ("_target_", "path") if part.get("_target_") == GETS else ("_target_",):
                if key in part:
                    _check_name(part[key], allow)


def _check_name(name: Any, allow: tuple[str, ...]) -> None:
    if str(name) in known() or any(str(name).startswith(f"{prefix}.") for prefix in allow):
        return
    package = str(name).split(".")[0]
    raise ValueError(
        f"it names {name!r:.80}, which no file of egsde's conf does; if you trust it and the file, "
        f"add allow=[{package}]"
    )


def check_plain(node: Any, allow: tuple[str, ...] = ()) -> None:
    """`check_names` of a record, in which nothing is left to resolve. ValueError where something
    is."""
    check_names(node, allow)
    for _, value in nodes(node):
        if isinstance(value, str) and "${" in value:
            raise ValueError(f"it holds {value!r:.80}; interpolations of a record are not resolved")


def check_hydra(content: Any) -> None:
    """ValueError where a file given back would have Hydra itself start something."""
    settings = content.get("hydra") if isinstance(content, Mapping) else None
    keys = [str(key) for key in content] if isinstance(content, Mapping) else []
    if any(key.startswith(("hydra/", "hydra.")) for key in keys):
        raise ValueError("it chooses parts of Hydra; give them on the command line")
    if isinstance(settings, Mapping):
        found = [key for key in STARTERS if key in settings]
        if found or "_target_" in str(settings) or "oc.create" in str(settings):
            raise ValueError(
                f"its hydra section holds {', '.join(found) or 'parts'}, which would be started "
                "before anything is checked; give them on the command line"
            )
    elif settings is not None:
        raise ValueError("its hydra section is no list of settings")
    for entry in (content.get("defaults") if isinstance(content, Mapping) else None) or ():
        if "hydra" in str(entry) and "job_logging" not in str(entry):
            raise ValueError(
                f"its defaults hold {entry}; choose parts of Hydra on the command line"
            )


def check_started(program: str, folder: str, name: str, overrides: Sequence[str]) -> None:
    """ValueError where what is composed of a file given back would change what Hydra does before
    anything is asked of it: a callback, a handler of messages, a variable, a folder, what the
    command line has said. Files that its defaults name, and what they say of other packages, are
    among it."""
    GlobalHydra.instance().clear()
    with initialize_config_dir(folder, version_base="1.3"), _bounded():
        jobs = _jobs(folder, overrides)
        composed = [compose(name, job, return_hydra_config=True) for job in jobs]
    if any("out" not in cfg for cfg in composed):
        raise ValueError("it has no out, so it is no configuration of a run; add +out=FOLDER")
    found = [_flat(cfg) for cfg in composed]
    for job, settings in zip(jobs, found, strict=True):
        said = [settings.pop(f"overrides.{part}", None) for part in ("hydra", "task")]
        of_hydra = [text for text in job if re.match(r"[+~]*hydra[./]", text)]
        if said != [of_hydra, [text for text in job if text not in of_hydra]]:
            raise ValueError("it sets hydra.overrides, which is what the command line says")
    own = [text for text in jobs[0] if OF_HYDRA.match(text)]
    with initialize_config_dir(str(CONF), version_base="1.3"):
        both = [compose(config, own, return_hydra_config=True) for config in (program, None)]
    usual = [_flat(cfg) for cfg in both]  # ours, and Hydra's own
    changed = (k for job in found for k, v in job.items() if all(v != u.get(k) for u in usual))
    told = [key for key in dict.fromkeys(changed) if not FREE.match(key)]
    if any(not NAME.fullmatch(str(job.get("job.name"))) for job in found):
        told.append("job.name")  # of a file of messages
    if told:
        raise ValueError(
            f"it sets hydra.{', hydra.'.join(told[:3])}, of which Hydra would start or write "
            "something before anything is checked; give them on the command line"
        )


def _jobs(folder: str, overrides: Sequence[str]) -> list[list[str]]:
    """The command lines of a sweep's jobs as far as they choose files, which alone can reach
    Hydra's own settings."""
    loader = GlobalHydra.instance().config_loader()
    fixed, chosen = [], []
    for override in OverridesParser.create(loader).parse_overrides(list(overrides)):
        key = override.get_key_element()
        if not override.is_sweep_override():
            fixed.append(str(override.input_line))
        elif (Path(folder) / override.key_or_group).is_dir() and override.is_discrete_sweep():
            chosen.append([f"{key}={value}" for value in override.sweep_string_iterator()])
    return [[*fixed, *choice] for choice in product(*chosen)]


@contextmanager
def _bounded() -> Iterator[None]:
    """While it lasts, a YAML file whose aliases stand for more than it holds is a ValueError."""
    load = yaml.load

    def bounded(*given: Any, **options: Any) -> Any:
        return check_size(load(*given, **options))

    yaml.load = bounded
    try:
        yield
    finally:
        yaml.load = load


def check_size(node: Any) -> Any:
    """What YAML has read. ValueError where it is endless or has too many values once its aliases
    are written out."""
    counts: dict[int, float] = {}

    def count(node: Any) -> float:
        if not isinstance(node, (list, dict)):
            return 1
        if id(node) not in counts:
            counts[id(node)] = inf  # as long as it is inside itself
            inner = node if isinstance(node, list) else node.values()
            counts[id(node)] = 1 + sum(map(count, inner))
        return counts[id(node)]

    if count(node) > MOST:
        raise ValueError(f"its aliases (*name) stand for more than {MOST} values; write them out")
    return node


def _flat(cfg: DictConfig) -> dict[str, Any]:
    return flat(OmegaConf.to_container(cfg.hydra, resolve=False))


def with_allow(node: Any, allow: list[str]) -> Any:
    """A record in which nothing but these packages is allowed, whatever it said."""
    if isinstance(node, list):
        return [with_allow(value, allow) for value in node]
    if not isinstance(node, Mapping):
        return node
    return {k: allow if k == "allow" else with_allow(v, allow) for k, v in node.items()}


def check_allow(node: Any, allow: tuple[str, ...]) -> None:
    """ValueError where a part is allowed more than the command line allows."""
    for place, value in nodes(node):
        named = value if isinstance(value, list) else [value] if value else []
        if place.rpartition(".")[2] == "allow" and set(map(str, named)) - set(allow):
            raise ValueError(f"{place}={value} stands in a file; give allow= on the command line")
