"""Finished spans of one local trace become the trees that leave together."""
