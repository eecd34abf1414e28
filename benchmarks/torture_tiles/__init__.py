"""Try to break the tiles: `make torture-tiles`."""
