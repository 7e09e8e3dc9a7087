"""Tokenizers of a stranger: nothing runs, no link is followed, all words are known."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from egsde.networks.folders import read_tokenizer, tokens_of
from test_hostile import MARK, refused

WORDS = {word: k for k, word in enumerate([*"dog", "<|endoftext|>", "o</w>", "g</w>", "do"])}
CODE = "import pathlib; pathlib.Path({!r}).touch()\nclass T: pass\n"


def tokenizer_folder(path: Path, **settings: object) -> Path:
    path.mkdir(exist_ok=True)
    (path / "vocab.json").write_text(json.dumps(WORDS))
    (path / "merges.txt").write_text("#version: 0.2\nd o\n")
    config = {"tokenizer_class": "CLIPTokenizer", "model_max_length": 6, **settings}
    (path / "tokenizer_config.json").write_text(json.dumps(config))
    return path


def test_tokenizers_run_nothing_and_follow_no_link(tmp_path):
    transformers = pytest.importorskip("transformers")
    mark = tmp_path / MARK
    for name, settings in enumerate([
        {"auto_map": {"AutoTokenizer": ["evil.T", None]}}, {"auto_map": {"AutoTokenizer": "evil.T"},
        "tokenizer_class": "T"}, {"bos_token": {"__type": "os.system", "content": "x"}},
        {"bos_token": 5}, {"added_tokens_decoder": {"x": {"content": "a"}}},
    ]):  # fmt: skip
        place = tokenizer_folder(tmp_path / str(name), **settings)
        (place / "evil.py").write_text(CODE.format(str(mark)))
        refused(place, lambda p=place: read_tokenizer(p, transformers.CLIPTokenizer), mark)
    for name, content in (("vocab.json", "[" * 5000), ("vocab.json", '{"a": -1}'),
                          ("merges.txt", "a b c\n"), ("added_tokens.json", "<html>")):  # fmt: skip
        place = tokenizer_folder(tmp_path / "again")
        (place / name).write_text(content)
        refused(place, lambda p=place: read_tokenizer(p, transformers.CLIPTokenizer), mark)
        (place / name).unlink()
    for name in ("merges.txt", "vocab.json"):
        place = tokenizer_folder(tmp_path / f"link_{name}")
        (place / name).unlink()
        (place / name).symlink_to("/etc/passwd")
        refused(place, lambda p=place: read_tokenizer(p, transformers.CLIPTokenizer), mark)


def test_a_tokenizer_with_more_words_than_its_encoder(tmp_path):
    transformers = pytest.importorskip("transformers")
    tokenizer = read_tokenizer(tokenizer_folder(tmp_path), transformers.CLIPTokenizer)
    settings = transformers.CLIPTextConfig(vocab_size=20, max_position_embeddings=6)
    assert tokens_of(tokenizer, "dog", settings).input_ids.shape == (1, 6)
    settings.vocab_size = 3
    with pytest.raises(ValueError, match="the encoder beside it knows 3"):
        tokens_of(tokenizer, "dog", settings)


def test_what_splits_a_text_is_no_ones_choice(tmp_path):
    """A regular expression of a stranger may take hours for a short text: none is read."""
    transformers = pytest.importorskip("transformers")
    kind, settings = transformers.CLIPTokenizer, transformers.CLIPTextConfig(vocab_size=20)
    place = tokenizer_folder(tmp_path / "plain")
    plain = kind.from_pretrained(place)
    plain.save_pretrained(place)
    said = json.loads((place / "tokenizer.json").read_text())
    swap = {"type": "Replace", "pattern": {"Regex": "d"}, "content": "o"}
    split = {"type": "Split", "pattern": {"Regex": "o"}, "behavior": "Isolated", "invert": False}
    for number, changed in enumerate([
        {"normalizer": swap}, {"pre_tokenizer": split}, {"decoder": swap},
        {"normalizer": {"type": "Sequence", "normalizers": [swap, swap]}},
    ]):  # fmt: skip
        other = tokenizer_folder(tmp_path / str(number))
        (other / "tokenizer.json").write_text(json.dumps(said | changed))
        found = tokens_of(read_tokenizer(other, kind), "dog", settings).input_ids
        assert found.equal(tokens_of(plain, "dog", settings).input_ids)
