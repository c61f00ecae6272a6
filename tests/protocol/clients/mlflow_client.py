"""MLflow's own client of a scoring server: what it makes of the service at a URL, as JSON.

    mlflow_client.py HOST PORT CSV

asks for the rows of a CSV file, in each form that the client sends.
"""

from __future__ import annotations

import json
import sys
import warnings
from typing import Any

import pandas as pd
from mlflow.pyfunc.scoring_server.client import ScoringServerClient


def asked(host: str, port: int, rows: pd.DataFrame) -> dict[str, Any]:
    """The version, and the predictions for the rows."""
    client = ScoringServerClient(host, port)
    client.wait_server_ready(timeout=10)
    records = {"dataframe_records": rows.to_dict(orient="records")}
    refused = ""
    try:
        client.invoke(rows.assign(sepal_length="x"))
    except Exception as error:  # noqa: BLE001 - the client raises nothing else
        refused = str(error)
    return {
        "version": client.get_version(),
        "frame": client.invoke(rows).get_predictions().iloc[:, 0].tolist(),
        "array": client.invoke(rows.to_numpy()).get_predictions("ndarray").tolist(),
        "text": client.invoke(json.dumps(records))["predictions"],
        "with params": client.invoke(rows, params={"x": 1})["predictions"],
        "refused": refused,
    }


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    print(json.dumps(asked(sys.argv[1], int(sys.argv[2]), pd.read_csv(sys.argv[3]))))
