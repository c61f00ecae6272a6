"""The seed of the tests that draw at random: fresh in every run, or the one of MODELWAY_SEED.

It is put into the environment, so that the processes of one run share it.
"""

from __future__ import annotations

import os
import secrets

SEED = int(os.environ.setdefault("MODELWAY_SEED", str(secrets.randbits(32))))
