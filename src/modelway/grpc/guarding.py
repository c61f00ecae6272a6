"""Methods that ask who calls before they answer, by the table of what each needs.

Not those of inference: there the data plane asks, once a request, whichever way it comes.
"""

from __future__ import annotations

from google.protobuf.message import Message

from modelway.access.admitting import Keys
from modelway.access.routes import Concerns, Door, rule_of
from modelway.grpc import messages
from modelway.grpc.calls import Answer, Call, parsed


def guarded(method: str, answer: Answer, keys: Keys | None) -> Answer:
    """The answer of ``service/Method`` behind what it needs; as it is where there are no keys."""
    rule = rule_of(Door.GRPC, "CALL", method)
    if keys is None or rule.scopes is None or rule.is_inference:
        return answer
    known = keys

    async def asked(call: Call, message: bytes) -> Message:
        endpoint = None
        if rule.concerns is Concerns.ENDPOINT:
            # Every message of the protocol that names a model does so in the same place.
            endpoint = parsed(messages.ModelMetadataRequest, message).name
        known.admit(rule, endpoint, call.headers)
        return await answer(call, message)

    return asked
