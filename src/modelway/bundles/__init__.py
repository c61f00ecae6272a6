"""Bundles: the immutable folders that the data plane loads, and how they are built and proven."""
