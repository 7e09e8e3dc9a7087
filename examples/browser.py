"""The files that docs/demo.html runs on, and a server of this machine alone to see it:

    egsde export weights=demo/flat_to_3d.safetensors sampler=at_once out=exported
    python examples/browser.py exported/translator.onnx

Puts the network, and onnxruntime-web from npm's registry (needs Node.js), into docs/demo_files.
"""

import argparse
import functools
import http.server
import json
import shutil
import tarfile
import tempfile
from pathlib import Path

import numpy as np
import onnxruntime

from egsde.data.npm import pack

PAGE = Path(__file__).parents[1] / "docs" / "demo.html"
RUNTIME = "onnxruntime-web", "1.30.0"
FILES = ("ort.wasm.min.js", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm")


def prepare(network: Path, folder: Path, package: Path | None = None) -> None:
    """Fill `folder`; package: the .tgz of onnxruntime-web, if it is there already."""
    session = onnxruntime.InferenceSession(network)
    about = session.get_modelmeta().custom_metadata_map
    inputs = {entry.name for entry in session.get_inputs()}
    if inputs != {"x0", "noise"}:
        raise ValueError(
            f"{network} takes {', '.join(sorted(inputs))}, but the page runs whole translators: "
            "egsde export translator=... without weights="
        )
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(network, folder / "translator.onnx")
    told = {key: json.loads(about[key]) for key in ("size", "domains")}
    told["draws"] = draws(session, told["size"])
    (folder / "about.json").write_text(json.dumps(told))
    if all((folder / name).exists() for name in FILES):
        return
    with tempfile.TemporaryDirectory() as temporary:
        archive = package or pack(*RUNTIME, Path(temporary))
        with tarfile.open(archive) as files:
            for name in FILES:
                content = files.extractfile(f"package/dist/{name}")
                assert content is not None
                (folder / name).write_bytes(content.read())


def draws(session: onnxruntime.InferenceSession, size: list[int]) -> bool:
    """Whether the translation depends on the noise."""
    x0 = np.zeros((1, 3, *size), np.float32)
    one, other = (session.run(None, {"x0": x0, "noise": x0 + k})[0] for k in (0, 1))
    return bool((one != other).any())


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves a folder and says nothing of it."""

    def log_message(self, format: str, *args: object) -> None:
        pass


def server(folder: Path, port: int = 0) -> http.server.ThreadingHTTPServer:
    """A server of the folder on this machine alone; port 0: any that is free."""
    handler = functools.partial(Quiet, directory=str(folder))
    return http.server.ThreadingHTTPServer(("127.0.0.1", port), handler)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("network", type=Path, help="a translator.onnx of egsde export")
    parser.add_argument("--port", type=int, default=8000)
    args = parser.parse_args()
    prepare(args.network, PAGE.parent / "demo_files")
    print(f"http://127.0.0.1:{args.port}/{PAGE.name}   (Ctrl-C ends)")
    server(PAGE.parent, args.port).serve_forever()


if __name__ == "__main__":
    main()
