"""The peers' applications. Each runs in the peers' environment and imports nothing of the project."""
