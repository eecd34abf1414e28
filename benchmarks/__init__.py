"""Measurements of the whole product beside its peers; README.md holds what they mean and the last figures."""
