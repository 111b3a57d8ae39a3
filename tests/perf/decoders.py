"""What a decoder takes for a photograph on one core, beside the reference: in turns, in one run.

Decoding, resizing and cropping, as EfficientNet-Lite0 asks for them; reading is left out.

    python tests/perf/decoders.py --data imagenet/val --images 250
"""

import argparse
import time
from collections.abc import Sequence
from statistics import median

import torch

from bench.data.dataset import open_dataset
from bench.data.decoders import Decoder, open_decoder
from bench.records import REFERENCE_DECODER
from zoo import build
from zoo.entry import Preprocess
from zoo.manifest import load

OTHER = "torchvision"


def ms_an_image(decoder: Decoder, encoded: Sequence[bytes], preprocess: Preprocess) -> float:
    """Return the milliseconds that an image takes from bytes to crop."""
    start = time.perf_counter()
    for data in encoded:
        decoder.crop(decoder.decode(data, preprocess), preprocess)
    return (time.perf_counter() - start) / len(encoded) * 1e3


def main() -> None:
    """Print the medians of a few turns, and the median of their ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default="sample")
    parser.add_argument("--images", type=int)
    parser.add_argument("--turns", type=int, default=6)
    options = parser.parse_args()
    dataset = open_dataset(options.data, labels="imagenet", limit=options.images)
    encoded = [dataset.read(index) for index in range(len(dataset))]
    preprocess = build.preprocess(load("sample").entries[0])
    torch.set_num_threads(1)
    decoders = {name: open_decoder(name) for name in (REFERENCE_DECODER, OTHER)}
    turns = [
        {name: ms_an_image(decoder, encoded, preprocess) for name, decoder in decoders.items()}
        for _ in range(options.turns)
    ]
    for name in decoders:
        print(f"{name:12} {median(turn[name] for turn in turns):6.2f} ms an image")
    ratio = median(turn[OTHER] / turn[REFERENCE_DECODER] for turn in turns)
    print(f"{OTHER} takes {ratio:.2f} of {REFERENCE_DECODER}'s time")


if __name__ == "__main__":
    main()
