"""What every configuration of a process reads again is read once: the files of conf, and parsed.

A run from the command line composes twice, and the suite composes hundreds of times; each reads
some thirty files and parses their interpolations. What lies elsewhere is read as ever, for tests
change it.
"""

from __future__ import annotations

from copy import copy, deepcopy
from functools import cache
from pathlib import Path

import omegaconf._utils
import omegaconf.base
from hydra._internal.config_repository import ConfigRepository
from hydra.core.object_type import ObjectType

from egsde.programs.settings import CONF


def ours(source) -> bool:
    """Whether a source of configurations is conf, a folder in it, or Hydra's own."""
    return source.scheme() != "file" or Path(source.path).is_relative_to(CONF)


def install() -> None:
    """Hydra's files and OmegaConf's grammar; neither changes what it has read or parsed."""
    read, kept = ConfigRepository.load_config, {}

    def load(self, config_path):
        source = self._find_object_source(config_path=config_path, object_type=ObjectType.CONFIG)
        if source is None or not ours(source):
            return read(self, config_path)
        key = source.scheme(), source.path, config_path
        if key not in kept:
            kept[key] = read(self, config_path)
        found = copy(kept[key])
        found.config = deepcopy(found.config)  # a run changes what it has composed
        return found

    ConfigRepository.load_config = load
    for module in (omegaconf._utils, omegaconf.base):
        module.parse = cache(module.parse)
