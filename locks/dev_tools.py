"""The development tools of pyproject.toml, one requirement a line, for the lock.

The group names modelway itself with all extras; a lock is of everything but modelway.
"""

import tomllib
from pathlib import Path

project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())
for requirement in project["dependency-groups"]["dev"]:
    if not requirement.startswith("modelway"):
        print(requirement)
