"""SDEdit with an exported score, by onnxruntime and NumPy alone:

    egsde export weights=demo/flat_and_3d.safetensors out=exported
    python examples/onnx_translate.py exported/score.onnx photo.png out.png

The picture is noised to half of the process's time and drawn back in DDIM's steps.
"""

import json
import sys

import numpy as np
import onnxruntime
from PIL import Image

START, STEPS = 0.5, 50  # where to start, and steps over the whole of the process


def main(network: str, picture: str, result: str) -> None:
    session = onnxruntime.InferenceSession(network, providers=["CPUExecutionProvider"])
    about = session.get_modelmeta().custom_metadata_map
    height, width = json.loads(about["size"])
    image = Image.open(picture).convert("RGB").resize((width, height), Image.Resampling.BICUBIC)
    x0 = np.asarray(image, np.float32).transpose(2, 0, 1)[None] / 127.5 - 1

    alpha, sigma = (np.array(json.loads(about[name])) for name in ("alpha", "sigma"))
    last = len(alpha) - 1
    first = round(START * last)
    levels = np.arange(first, -1, -(last // STEPS))
    noise = np.random.default_rng(0).standard_normal(x0.shape).astype(np.float32)
    y = alpha[first] * x0 + sigma[first] * noise
    for now, then in zip(levels[:-1], levels[1:], strict=True):
        inputs = {"x": y.astype(np.float32), "t": np.full(len(y), now / last, np.float32)}
        _, clean, eps = session.run(None, inputs)
        y = alpha[then] * clean + sigma[then] * eps
    pixels = ((y[0].transpose(1, 2, 0) + 1) * 127.5).round().clip(0, 255).astype(np.uint8)
    Image.fromarray(pixels).save(result)


if __name__ == "__main__":
    main(*sys.argv[1:4])
