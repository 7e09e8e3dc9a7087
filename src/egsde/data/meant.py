"""What to do where something else stands in place of a folder of pictures."""

from __future__ import annotations

from pathlib import Path

TAR = (".tar", ".tgz", ".tbz", ".tbz2", ".txz", ".tzst")
PACKED = (".7z", ".rar", ".gz", ".bz2", ".xz", ".zst", ".lzma")
LISTS = (".txt", ".csv", ".tsv", ".lst", ".flist", ".list", ".json", ".jsonl", ".yaml", ".yml")
SETS = (".parquet", ".arrow", ".tfrecord", ".tfrecords", ".lmdb", ".mdb", ".h5", ".hdf5", ".mat",
        ".pkl", ".pt", ".pth", ".sqlite", ".db")  # fmt: skip


def elsewhere(name: str) -> str:
    """Where a name is an address, a variable of the shell or a pattern; "" for none."""
    if "://" in name:
        return "; it is an address, and a folder or a zip is wanted: download it first"
    if name.startswith(("$", "%")):
        return "; the shell did not replace the variable, whose name may be in single quotes"
    if any(sign in name for sign in "*?"):
        return "; patterns are not read: name the folder"
    return ""


def instead(file: Path) -> str:
    """Where a file is neither a folder nor a zip, by the end of its name."""
    name = file.name.lower()
    if name.endswith(TAR) or ".tar." in name:
        return f"unpack it (tar -xf {file.name}) and name the folder"
    if name.endswith(PACKED):
        return "unpack it and name the folder, or pack it as a zip"
    if name.endswith(LISTS):
        return "lists of paths are not read: put the pictures, or links to them, into a folder"
    if name.endswith(SETS):
        return "save its images as files, such as PNG, and name their folder"
    return "name the folder that holds the pictures"
