"""A package, so that what it opens can be closed with it."""
