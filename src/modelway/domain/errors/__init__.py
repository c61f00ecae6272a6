"""Every error that Modelway raises on purpose, in one tree.

    ModelwayError
    ├── InvalidInput          what was sent or given is wrong
    │   ├── SignatureMismatch     values that do not fit the signature (carries every problem)
    │   ├── InputRefused          values that fit the signature, and the model refuses
    │   ├── TooManyErrors         more rows of a file than allowed could not be answered
    │   ├── MalformedPayload      a body, row or file that cannot be read
    │   ├── PayloadTooLarge
    │   ├── HeadTooLarge          more header than is taken
    │   ├── RequestIncomplete     a request of which too little came in time
    │   ├── UnsupportedMedia      a content type that nobody here reads
    │   ├── NotAcceptable         no content type that the caller takes is written here
    │   ├── IdempotencyKeyReused  a key that came before, with another job
    │   ├── CallbackRefused       a URL that is not called when a job has ended
    │   ├── InvalidName
    │   ├── InvalidSource         a model source that cannot be understood
    │   └── InvalidSignature      a signature that contradicts itself
    ├── NotFound
    │   ├── EndpointNotFound
    │   ├── ModelNotFound
    │   ├── VersionNotFound
    │   ├── AliasNotFound
    │   ├── RunNotFound
    │   ├── KeyNotFound
    │   ├── ProposalNotFound
    │   ├── PredictionNotFound    no record has this id
    │   ├── JobNotFound
    │   ├── ResultNotFound        a job that ended without an answer
    │   ├── UploadNotFound
    │   ├── ScheduleNotFound
    │   ├── RouteNotFound
    │   └── SourceNotFound
    ├── MethodNotAllowed
    ├── Conflict
    │   ├── TargetExists          something is where a new thing should go
    │   ├── ResumeMismatch        what was begun was begun with something else
    │   ├── PromotionConflict     somebody else moved the alias first
    │   ├── EndpointChanged       somebody else changed the endpoint first
    │   ├── ProposalDecided       somebody else decided already
    │   ├── IdempotencyMismatch   an id that the caller brought before, with other inputs
    │   ├── IllegalTransition     a job is where this cannot follow
    │   └── NotReplayable         what was recorded is not enough to answer it again
    ├── NotPermitted
    │   ├── Unauthenticated       nobody said who calls, or not so that it can be believed
    │   └── Forbidden             who calls may not
    ├── Untrusted
    │   ├── DigestMismatch
    │   ├── UnsafeFormat
    │   └── UntrustedRegistry     a pickle from a registry that is not listed as trusted
    ├── ModelFailed
    │   ├── BuildFailed
    │   ├── NotCompilable         stays native, and why
    │   ├── LoadFailed
    │   ├── PredictFailed
    │   ├── ModelCrashed          the process of a model died
    │   └── OutputInvalid
    ├── Overloaded            too much at once; later it may go
    │   ├── QueueFull
    │   ├── RateLimited           more requests than a key may make
    │   ├── DeadlineExceeded
    │   └── OutOfMemory           no room to load one more model
    ├── Unavailable
    │   ├── NotReady
    │   ├── WorkerDied            a process that does a part of the work ended
    │   ├── RegistryUnavailable
    │   └── StoreUnavailable
    └── InvalidSettings
        ├── UnknownSetting
        ├── BadValue
        ├── MissingExtra
        ├── PortInUse
        └── HomeTooNew            a home that a newer Modelway has written

How an error looks over HTTP is said in ``rest/problems.py`` alone, and which exit code it has in
``cli/exits.py`` alone.
"""

from modelway.domain.errors.absent import (
    AliasNotFound,
    EndpointNotFound,
    JobNotFound,
    KeyNotFound,
    ModelNotFound,
    NotFound,
    PredictionNotFound,
    ProposalNotFound,
    ResultNotFound,
    RouteNotFound,
    RunNotFound,
    ScheduleNotFound,
    SourceNotFound,
    UploadNotFound,
    VersionNotFound,
)
from modelway.domain.errors.base import (
    ModelwayError,
    Problem,
)
from modelway.domain.errors.conflicts import (
    Conflict,
    EndpointChanged,
    IdempotencyMismatch,
    IllegalTransition,
    NotReplayable,
    PromotionConflict,
    ProposalDecided,
    ResumeMismatch,
    TargetExists,
)
from modelway.domain.errors.failures import (
    BadValue,
    BuildFailed,
    DeadlineExceeded,
    HomeTooNew,
    InvalidSettings,
    LoadFailed,
    MissingExtra,
    ModelCrashed,
    ModelFailed,
    NotCompilable,
    NotReady,
    OutOfMemory,
    OutputInvalid,
    Overloaded,
    PortInUse,
    PredictFailed,
    QueueFull,
    RateLimited,
    RegistryUnavailable,
    StoreUnavailable,
    Unavailable,
    UnknownSetting,
    WorkerDied,
)
from modelway.domain.errors.invalid import (
    CallbackRefused,
    HeadTooLarge,
    IdempotencyKeyReused,
    InputRefused,
    InvalidInput,
    InvalidName,
    InvalidSignature,
    InvalidSource,
    MalformedPayload,
    NotAcceptable,
    PayloadTooLarge,
    RequestIncomplete,
    SignatureMismatch,
    TooManyErrors,
    UnsupportedMedia,
)
from modelway.domain.errors.refused import (
    DigestMismatch,
    Forbidden,
    MethodNotAllowed,
    NotPermitted,
    Unauthenticated,
    UnsafeFormat,
    Untrusted,
    UntrustedRegistry,
)

__all__ = [
    "AliasNotFound",
    "BadValue",
    "BuildFailed",
    "CallbackRefused",
    "Conflict",
    "DeadlineExceeded",
    "DigestMismatch",
    "EndpointChanged",
    "EndpointNotFound",
    "Forbidden",
    "HeadTooLarge",
    "HomeTooNew",
    "IdempotencyKeyReused",
    "IdempotencyMismatch",
    "IllegalTransition",
    "InputRefused",
    "InvalidInput",
    "InvalidName",
    "InvalidSettings",
    "InvalidSignature",
    "InvalidSource",
    "JobNotFound",
    "KeyNotFound",
    "LoadFailed",
    "MalformedPayload",
    "MethodNotAllowed",
    "MissingExtra",
    "ModelCrashed",
    "ModelFailed",
    "ModelNotFound",
    "ModelwayError",
    "NotAcceptable",
    "NotCompilable",
    "NotFound",
    "NotPermitted",
    "NotReady",
    "NotReplayable",
    "OutOfMemory",
    "OutputInvalid",
    "Overloaded",
    "PayloadTooLarge",
    "PortInUse",
    "PredictFailed",
    "PredictionNotFound",
    "Problem",
    "PromotionConflict",
    "ProposalDecided",
    "ProposalNotFound",
    "QueueFull",
    "RateLimited",
    "RegistryUnavailable",
    "RequestIncomplete",
    "ResultNotFound",
    "ResumeMismatch",
    "RouteNotFound",
    "RunNotFound",
    "ScheduleNotFound",
    "SignatureMismatch",
    "SourceNotFound",
    "StoreUnavailable",
    "TargetExists",
    "TooManyErrors",
    "Unauthenticated",
    "Unavailable",
    "UnknownSetting",
    "UnsafeFormat",
    "UnsupportedMedia",
    "Untrusted",
    "UntrustedRegistry",
    "UploadNotFound",
    "VersionNotFound",
    "WorkerDied",
]
