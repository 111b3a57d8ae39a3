"""What a zoo costs on one device, computed from rates: ours, and one process a model.

Rates are options; the defaults are those that docs/decode.md gives, with where they were measured.
The first row of a geometry group decodes; it is as slow as the slower of the device and the cores,
which also resize for all further geometries. Later rows map the pixels.

    python tests/perf/plan_cost.py --models 30 --images-per-s 3000
"""

import argparse


def ours_s(options: argparse.Namespace) -> dict[str, float]:
    """Return the seconds of our plan, by what they are spent on."""
    forward = options.images / options.images_per_s
    image_ms = options.decode_ms + options.geometries * options.resize_ms
    decode = options.images * image_ms / 1000 / options.cores
    later = max(forward, options.images * options.crop_mb / options.read_mb_per_s)
    return {
        "start": options.start_s,
        "rows' own start": options.models * options.row_start_s,
        "first row": max(forward, decode),
        "later rows": (options.models - 1) * later,
    }


def peers_s(options: argparse.Namespace) -> dict[str, float]:
    """Return the seconds of one process a model, each of which decodes for itself."""
    decode = options.images * (options.decode_ms + options.resize_ms) / 1000 / options.cores
    forward = options.images / options.images_per_s
    return {
        "starts": options.models * options.peer_start_s,
        "rows": options.models * max(forward, decode),
    }


def main() -> None:
    """Print both, and the bound: the forward passes alone."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", type=int, default=30)
    parser.add_argument("--geometries", type=int, default=6)
    parser.add_argument("--images", type=int, default=50_000)
    parser.add_argument("--images-per-s", type=float, default=3000)
    parser.add_argument("--cores", type=int, default=16)
    parser.add_argument("--decode-ms", type=float, default=1.33)
    parser.add_argument("--resize-ms", type=float, default=1.80)
    parser.add_argument("--crop-mb", type=float, default=0.150528)
    parser.add_argument("--read-mb-per-s", type=float, default=2000)
    parser.add_argument("--start-s", type=float, default=8)
    parser.add_argument("--row-start-s", type=float, default=0.5)
    parser.add_argument("--peer-start-s", type=float, default=8)
    options = parser.parse_args()
    ours, peers = ours_s(options), peers_s(options)
    bound = options.models * options.images / options.images_per_s
    for title, parts in (("zoobench", ours), ("a process a model", peers)):
        told = ", ".join(f"{name} {seconds:.0f}" for name, seconds in parts.items())
        print(f"{title}: {sum(parts.values()):.0f} s ({told})")
    total = sum(ours.values())
    print(f"ratio {sum(peers.values()) / total:.2f}; forward passes alone {bound:.0f} s, ", end="")
    print(f"which is {bound / total:.2f} of ours")


if __name__ == "__main__":
    main()
