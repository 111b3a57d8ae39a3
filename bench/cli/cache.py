"""``zoobench cache``: what lies in the cache of decoded pixels, and its removal."""

from typing import Annotated

import typer

from zoo.text import printable


def cache(
    clear: Annotated[bool, typer.Option("--clear", help="Remove what no run is using.")] = False,
) -> None:
    """List the decoded pixels that runs have left for one another, the last used first.

    They lie below $XDG_CACHE_HOME, or ~/.cache; `zoobench run --cache-size` bounds them.

    Example: [bold]zoobench cache --clear[/bold]
    """
    from bench.data.pixel_cache import PixelCache, default_folder

    pixels = PixelCache(default_folder())
    if clear:
        count, freed = pixels.clear()
        left = len(pixels.files())
        used = f"; {left} in use, left alone" if left else ""
        print(f"{count} files removed, {freed / 1e9:.3f} GB{used}")
        return
    files = pixels.files()
    for file in files:
        state = "  in use" if file.in_use else "" if file.key else "  unfinished or damaged"
        print(f"{file.used_at:%Y-%m-%d %H:%M}  {file.size_bytes / 1e9:9.3f} GB{state}")
        if file.key is not None:
            print(
                f"  {printable(file.key.dataset)}, {file.key.images:,} images, {file.key.decoder}"
            )
            print(f"  {file.key.geometry}")
    total = sum(file.size_bytes for file in files)
    bound = pixels.bound_bytes()
    print(f"{pixels.folder}: {len(files)} files, {total / 1e9:.3f} GB of {bound / 1e9:.3f} GB")
