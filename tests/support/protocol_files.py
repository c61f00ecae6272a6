"""What protoc makes of the gRPC door's protocol: ``python -m support.protocol_files`` writes it."""

from __future__ import annotations

import tempfile
from importlib.resources import files
from pathlib import Path

from grpc_tools import protoc

FOLDER = Path(__file__).parents[2] / "src" / "modelway" / "grpc"
PROTO = "open_inference.proto"


def generated() -> dict[str, bytes]:
    """The generated files of the door by name: the descriptor and the types of the messages."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder)
        code = protoc.main(
            (
                "protoc",
                f"--proto_path={FOLDER}",
                f"--proto_path={files('grpc_tools') / '_proto'}",
                f"--descriptor_set_out={out / 'descriptor'}",
                f"--pyi_out={out}",
                PROTO,
            )
        )
        if code != 0:
            raise RuntimeError(f"protoc ended with {code}")
        types = (out / PROTO.replace(".proto", "_pb2.pyi")).read_bytes()
        return {
            "open_inference.binpb": (out / "descriptor").read_bytes(),
            "messages.pyi": types,
        }


if __name__ == "__main__":
    for name, content in generated().items():
        (FOLDER / name).write_bytes(content)
