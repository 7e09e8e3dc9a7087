"""Folders of diffusers and transformers, as `save_pretrained` writes them: JSON and tensors alone.

Anyone may have made one. Nothing in it is run, no file is followed out of it, and a network takes
no more memory than the tensors that came with it, whatever its config.json says.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from egsde.networks.files import at_most, read_weights

LARGEST_JSON = 2**26  # bytes
STEMS = ("diffusion_pytorch_model", "model", "pytorch_model")
CODE = ("auto_map", "custom_pipelines", "quantization_config")  # settings that name code
CHOICES = ("_implementation", "kernel_config", "fusion_config", "distributed_config")  # of a run
UNUSED = ("pooler",)  # parts that a file may lack: no image goes through them
SPARE = 8


def there(path: Path) -> bool:
    """Whether there is such a file; ValueError for a link that leads out of its folder, unless
    it is one of the hub's own cache."""
    if not path.is_file():
        return False
    real, home = path.resolve(), path.parent.resolve()
    hub = next((p.parent for p in path.absolute().parents if p.name == "snapshots"), home)
    if not (real.is_relative_to(home) or real.is_relative_to(hub.resolve())):
        raise ValueError(f"{path} is a link out of its folder; put the file itself there")
    return True


def read_json(path: Path) -> dict[str, Any]:
    """A config; ValueError names the file that holds none."""
    if not path.exists():
        raise ValueError(f"{path} is not there; give the folder that save_pretrained wrote")
    try:
        if there(path) and path.stat().st_size > LARGEST_JSON:
            raise ValueError(f"{path.stat().st_size} bytes")
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ValueError(f"{path} is no JSON: {error}") from error
    if not isinstance(content, dict):
        raise ValueError(f"{path} holds no settings")
    return content


def read_tensors(folder: Path) -> dict[str, Tensor]:
    """The weights beside a config.json, in one file or several; ValueError where there are none."""
    for stem in STEMS:
        for name in (f"{stem}.safetensors", f"{stem}.bin"):
            if there(folder / name):
                return read_weights(folder / name)
            if there(index := folder / f"{name}.index.json"):
                return _shards(index)
    names = " nor ".join(f"{STEMS[0]}{suffix}" for suffix in (".safetensors", ".bin"))
    raise ValueError(f"{folder} holds no weights: neither {names} is there")


def _shards(index: Path) -> dict[str, Tensor]:
    """Of several files; each is one beside the index."""
    places = read_json(index).get("weight_map")
    names = set(places.values()) if isinstance(places, dict) else {None}
    state: dict[str, Tensor] = {}
    for name in sorted(map(str, names)):
        if Path(name).name != name or not there(index.parent / name):
            raise ValueError(f"{index} names {name!r:.80}, which is no file beside it")
        state |= read_weights(index.parent / name)
    return state


def read_transformer(folder: Path, kind: str) -> nn.Module:
    """A network of transformers, frozen, float32; kind: its class, AutoModel for what it says.

    ValueError for a folder that holds another, or whose tensors are not those of its config.json.
    """
    import transformers

    file = folder / "config.json"
    given = read_tensors(folder)
    try:
        config = _config(transformers, kind, read_json(file))
        with at_most(len(given) + SPARE), torch.device("meta"):
            model = getattr(transformers, kind)
            empty = model.from_config(config) if kind == "AutoModel" else model(config)
        asked = sum(p.numel() for p in (*empty.parameters(), *empty.buffers()))
        if asked > 2 * sum(value.numel() for value in given.values()) + 2**16:
            raise ValueError(f"it asks for {asked} numbers, and the tensors beside it are fewer")
        net, told = type(empty).from_pretrained(
            None, config=config, state_dict=given, dtype=torch.float32, output_loading_info=True
        )
    except ValueError as error:
        raise ValueError(f"{file}: {error}") from error
    except Exception as error:  # whatever a class says to settings that it does not take
        reason = " ".join(str(error).split())[:300]
        raise ValueError(f"{file}: transformers cannot open it: {reason}") from error
    missing = [n for n in sorted(told["missing_keys"]) if not any(part in n for part in UNUSED)]
    if missing or told["mismatched_keys"]:
        shown = ", ".join(map(str, [*missing, *told["mismatched_keys"]][:3]))
        raise ValueError(f"{folder}: its tensors are not those of {kind}: {shown}")
    return net.float().eval().requires_grad_(False)


def read_tokenizer(folder: Path, kind: Any) -> Any:
    """A tokenizer of a class of transformers; ValueError where the folder holds none."""
    for file in sorted(folder.glob("*")):
        if there(file) and file.suffix == ".json":
            said = read_json(file)
            try:
                _plain(said)
            except ValueError as error:
                raise ValueError(f"{file}: {error}") from error
    try:
        return kind.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except Exception as error:  # whatever the class says to what lies there
        reason = " ".join(str(error).split())[:300]
        raise ValueError(f"{folder}: {kind.__name__} cannot open it: {reason}") from error


def tokens_of(tokenizer: Any, text: str, settings: Any) -> Any:
    """A text as the numbers of its words, of as many as the encoder's settings say; ValueError
    where the tokenizer has more words than the encoder."""
    longest = settings.max_position_embeddings
    tokens = tokenizer(
        text, padding="max_length", max_length=longest, truncation=True, return_tensors="pt"
    )
    if int(tokens.input_ids.max()) >= settings.vocab_size:
        raise ValueError(
            f"the tokenizer gives {text!r:.80} the word {int(tokens.input_ids.max())}, and the "
            f"encoder beside it knows {settings.vocab_size}; give the two that belong together"
        )
    return tokens


def _config(transformers: Any, kind: str, said: Mapping[str, Any]) -> Any:
    """Settings of a class of transformers itself."""
    plain = _plain(said)
    if kind == "AutoModel":
        return transformers.AutoConfig.for_model(str(plain.pop("model_type", "")), **plain)
    if kind == "CLIPTextModel":
        plain = plain.get("text_config", plain)
    return getattr(transformers, kind).config_class.from_dict(plain)


def _plain(node: Any) -> Any:
    """Settings without choices of how to run; ValueError for one that names code."""
    if isinstance(node, list):
        return [_plain(value) for value in node]
    if not isinstance(node, dict):
        return node
    if named := sorted(set(CODE) & set(node)):
        raise ValueError(f"its {named[0]} names code, and none of a folder's is run")
    return {k: _plain(v) for k, v in node.items() if not any(c in k for c in CHOICES)}
