"""The kinds of weights files: what opens each, and what a kind has none of."""

from egsde.scores.names import NAMES

OPTIONS = {  # of sample.py
    "score": "score=trained",
    "conditional": "score=conditional",
    "cycle": "score=cycle",
    "labelled": "score=trained",
    "autoencoder": "codec=kl codec.weights=FILE",
    "lsgm": "score=lsgm",
    "classifier": "extractor=trained",
    "student": "score=student",
    "generator": "translator=cyclegan translator.weights=FILE",
    "ddgan": "translator=ddgan translator.weights=FILE",
    "flow": "translator=flow_matching translator.weights=FILE",
    "bridge": "translator=i2sb translator.weights=FILE",
    "dsbm": "translator=dsbm translator.weights=FILE",
    "unsb": "translator=unsb translator.weights=FILE",
    "conditional_bridge": "translator=ddbm translator.weights=FILE",
}
TIMELESS = {"generator"}  # kinds whose networks know no process
OF_KINDS = {  # networks of ours that no other kind has, and MLP, which others have, too
    "classifier": ("ADMEncoder", "MLP"),
    "autoencoder": ("Autoencoder",),
    "generator": ("ResNetGenerator", "UNetGenerator"),
    "lsgm": ("LSGM",),
}


def named(kind: str) -> str:
    """A kind in a sentence."""
    return "labelled score" if kind == "labelled" else kind


def check_network(kind: str, network: object) -> None:
    """ValueError where a network of ours cannot do what files of a kind are asked for."""
    name = network.get("class") if isinstance(network, dict) else None
    if name not in NAMES["network"]:
        return
    right = OF_KINDS.get(kind)
    others = {n for names in OF_KINDS.values() for n in names} - {"MLP"}
    if name in others if right is None else name not in right:
        raise ValueError(f"it says that it is a {kind}, and no {kind} of ours has a network {name}")


def weights_key(kind: str) -> str:
    """The setting of sample.py that takes the file of a kind."""
    option = OPTIONS.get(kind, "score=trained")
    if option.endswith("=FILE"):
        return option.rpartition(" ")[2].removesuffix("=FILE")
    return f"{option.partition('=')[0]}.weights"
