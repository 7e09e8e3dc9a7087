"""What every configuration of a process reads again is read once: the files of conf, and parsed.

A run from the command line composes twice, and the suite composes hundreds of times; each reads
some thirty files, orders them and merges them. Those of one choice of options are merged once, and
each composition begins with its own copy. Where something lies elsewhere, all is read as ever, for
tests change it.
"""

from __future__ import annotations

import pickle
from copy import copy
from functools import cache
from pathlib import Path
from typing import Any

import hydra._internal.config_loader_impl as loader
import hydra._internal.defaults_list as lists
import omegaconf._utils
import omegaconf.base
from hydra._internal.config_repository import ConfigRepository
from hydra.core.object_type import ObjectType

from egsde.programs.settings import CONF

Loader = loader.ConfigLoaderImpl


def ours(source: Any) -> bool:
    """Whether a source of configurations is conf, a folder in it, or Hydra's own."""
    return source.scheme() != "file" or Path(source.path).is_relative_to(CONF)


def places(repository: Any) -> str | None:
    """Where a repository reads, if it reads nothing that a test may change."""
    sources = repository.get_sources()
    return repr([s.path for s in sources]) if all(map(ours, sources)) else None


def install() -> None:
    """Hydra's files, lists and merges, OmegaConf's grammar; none changes what it has made."""
    ConfigRepository.load_config = _read_once(ConfigRepository.load_config)
    lists._create_interpolation_map = _where_asked(lists._create_interpolation_map)
    loader.create_defaults_list = _listed_once(lists.create_defaults_list)
    for name in ("_load_single_config", "_compose_config_from_defaults_list"):
        setattr(Loader, name, _made_once(getattr(Loader, name)))
    for module in (omegaconf._utils, omegaconf.base):
        module.parse = cache(module.parse)


def _read_once(read: Any) -> Any:
    kept = {}

    def load(self, config_path):
        source = self._find_object_source(config_path=config_path, object_type=ObjectType.CONFIG)
        if source is None or not ours(source):
            return read(self, config_path)
        key = source.scheme(), source.path, config_path
        if key not in kept:
            found = read(self, config_path)
            kept[key] = found, pickle.dumps(found.config)
        found, config = kept[key]
        found = copy(found)
        found.config = pickle.loads(config)  # a run changes what it has composed
        return found

    return load


def _listed_once(make: Any) -> Any:
    kept = {}

    def listed(repo, config_name, overrides_list, prepend_hydra, skip_missing):
        given = (repo, config_name, overrides_list, prepend_hydra, skip_missing)
        if (place := places(repo)) is None:
            return make(*given)
        chosen = lists.Overrides(repo, overrides_list)
        options = (chosen.override_choices, chosen.append_group_defaults, chosen.deletions)
        key = place, config_name, prepend_hydra, skip_missing, repr(options)
        if key not in kept:
            kept[key] = make(*given)
        found = copy(kept[key])
        found.config_overrides = chosen.config_overrides
        return found

    return listed


def _where_asked(make: Any) -> Any:
    """The map of choices is made for each file, and asked by a ${...} in its list alone."""

    def made(overrides, defaults_list, self_added):
        asked = any(not d.is_self() and d.is_interpolation() for d in defaults_list)
        return make(overrides, defaults_list, self_added) if asked else None

    return made


def _made_once(make: Any) -> Any:
    """What one entry of a list of defaults makes, or all: each composition has its own copy."""
    kept = {}

    def made(self, *given, **named):
        repo, (which,) = named.pop("repo"), (*given, *named.values())
        if (place := places(repo)) is None:
            return make(self, which, repo)
        entries = which if isinstance(which, list) else [which]
        key = place, tuple(tuple(vars(entry).values()) for entry in entries)
        if key not in kept:
            kept[key] = pickle.dumps(make(self, which, repo))
        return pickle.loads(kept[key])

    return made
