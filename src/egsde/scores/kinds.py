"""The kinds of weights files: what opens each, and what a kind has none of."""

OPTIONS = {  # of sample.py
    "score": "score=trained",
    "conditional": "score=conditional",
    "cycle": "score=cycle",
    "labelled": "score=labelled",
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


def of_the_source(kind: str, path: object) -> str | None:
    """Words of sample.py for the source's score in a file that makes both domains."""
    if kind != "labelled":
        return None
    key = "source_score"
    return f"score@{key}=labelled {key}.weights={path} {key}.label=source"


def weights_key(kind: str) -> str:
    """The setting of sample.py that takes the file of a kind."""
    option = OPTIONS.get(kind, "score=trained")
    if option.endswith("=FILE"):
        return option.rpartition(" ")[2].removesuffix("=FILE")
    return f"{option.partition('=')[0]}.weights"
