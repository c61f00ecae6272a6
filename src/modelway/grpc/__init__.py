"""The gRPC door: the Open Inference Protocol, health and reflection.

A call comes in as bytes (``calls.py``), its message is read (``messages.py``, ``contents.py``), the
data plane answers, and whatever goes wrong becomes a status by one table (``statuses.py``).
"""
