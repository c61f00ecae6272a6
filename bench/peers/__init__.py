"""All peers of the comparison, in the order in which they take turns."""

from __future__ import annotations

from collections.abc import Mapping

from peers.bentoml.peer import PEER as BENTOML
from peers.description import Peer
from peers.fastapi.peer import PEER as FASTAPI
from peers.flask.peer import PEER as FLASK
from peers.limit.peer import BARE, HTTPTOOLS, UVICORN
from peers.litserve.peer import PEER as LITSERVE
from peers.mlflow.peer import PEER as MLFLOW
from peers.mlserver.peer import PEER as MLSERVER
from peers.modelway.peer import PEER as MODELWAY
from peers.ray.peer import PEER as RAY

ALL: Mapping[str, Peer] = {
    peer.name: peer
    for peer in (
        *(MODELWAY, MLSERVER, BENTOML, LITSERVE, RAY, MLFLOW, FASTAPI, FLASK),
        *(BARE, UVICORN, HTTPTOOLS),
    )
}
