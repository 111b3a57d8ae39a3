"""Datasets, one file a layout, and the way of a photograph to pixels. No torch in this room."""
