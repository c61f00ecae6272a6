"""The Python client of a running service: rows in, the same kind of thing out."""

from modelway.client.client import Client

__all__ = ["Client"]
