"""Draw the pictures that README and guide show, from the two photographs of scikit-image that are CC0.

make pictures
"""

import tempfile
from pathlib import Path

import skimage.data
import torch
from PIL import Image

import eyeline
from eyeline.picture import panel, save

FOLDER = Path(__file__).parent / "pictures"


def main() -> None:
    """Draw and save them."""
    torch.set_num_threads(1)
    model = eyeline.load("bundled")
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder) / "coffee.png", Path(folder) / "chelsea.png"]
        for file, pixels in zip(files, (skimage.data.coffee(), skimage.data.chelsea()), strict=True):
            Image.fromarray(pixels).save(file)
        occlusion = eyeline.explain(model, files, window=56, stride=14, baseline=eyeline.Blur(12))
        saliency = eyeline.explain(model, files, "gradient")
        drawn = panel(occlusion, saliency, scale="p99", size=300, originals=files)
    print(save(drawn, FOLDER / "demo.png"))


if __name__ == "__main__":
    main()
