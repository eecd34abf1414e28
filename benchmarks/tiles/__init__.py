"""Tiles a second and CPU a tile: the platform, nginx with the same bytes as files, and OpenSlide's Deep Zoom."""
