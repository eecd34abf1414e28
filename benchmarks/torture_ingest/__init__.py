"""Whether anything is ever lost on the way from a scanner's disk to a slide: `make torture-ingest`."""
