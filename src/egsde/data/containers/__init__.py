"""Containers of a series of pictures: stacks, volumes, clips; a module a kind."""

from egsde.data.containers.base import Cut
from egsde.data.containers.entries import is_container
from egsde.data.containers.names import is_slice, place_of
from egsde.data.containers.slices import Slices, opened_files

__all__ = ["Cut", "Slices", "is_container", "is_slice", "opened_files", "place_of"]
