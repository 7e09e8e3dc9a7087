"""Names of the splits as folders spell them, and folders that only look like one."""

from __future__ import annotations

import re
from unicodedata import normalize

SPLITS = ("train", "val", "test")
SPELLED = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "dev"), "val"),
    **dict.fromkeys(("test", "testing"), "test"),
}
WORDS = "|".join([*SPELLED, "validate", "eval", "evaluation", "holdout", "heldout"])
ENDS = "|".join(("s", "sets?", "data", "images?", "imgs?", "pictures?", "pics"))
LOOKS = re.compile(rf"(^|.*[^a-z])({WORDS})({ENDS})?([^a-z].*)?$")
HUMP = re.compile(r"(?<=[a-z])(?=[A-Z])")  # of catsTrain
CYCLEGAN = re.compile(r"(train|test|val)[ab]$")  # trainA, trainB, testA, testB


def split_of(folder: str) -> str | None:
    """train, val or test for a folder of that name, in any letter case; else None."""
    return SPELLED.get(normalize("NFC", folder).casefold())


def looks_like_split(folder: str) -> bool:
    """Whether a person may have meant a split: `test2`, `catsTrain`, `Testset`, `tset`."""
    name = HUMP.sub("_", folder).casefold()
    anagram = any(sorted(name) == sorted(word) for word in SPELLED)
    return bool(LOOKS.match(name) or CYCLEGAN.match(name)) or anagram
