"""Datasets, one file per layout, and the way from an encoded image to pixels.

No module imports torch at its top; decoders by torchvision, and resizing without antialias, do when
they run.
"""
