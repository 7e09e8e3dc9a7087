"""Domains of images: embedded emoji, folders, archives, pairs, points; and their data module."""

from egsde.data.augment import Augment
from egsde.data.domains import Images, Store, output_name
from egsde.data.fluent import Fluent
from egsde.data.folder import Folders
from egsde.data.module import TwoDomains
from egsde.data.outputs import output_names
from egsde.data.pairs import HalvesOfAFile, PairedFolders
from egsde.data.toy import Toy
from egsde.data.written import Written

__all__ = [
    "Augment",
    "Fluent",
    "Folders",
    "Images",
    "PairedFolders",
    "HalvesOfAFile",
    "Store",
    "Toy",
    "TwoDomains",
    "Written",
    "output_name",
    "output_names",
]
