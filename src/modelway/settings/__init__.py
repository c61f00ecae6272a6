"""Every setting: type, default, unit, range and one line of help.

One frozen section per folder that has settings; a constructor is given its own section and no
other. A value comes from the first of these that has it: a flag of the command line, the
environment (``MODELWAY__SERVE__PORT``), ``modelway.toml`` (``[serve]`` with ``port``), the default.
Where a home is opened, what ``modelway up`` was started with there stands before some defaults
(``composition/home.py``).
A name that does not exist is an error, wherever it stands. Nothing else reads the environment.
"""

from modelway.settings.control import (
    AccessSettings,
    BundleSettings,
    RecordSettings,
    RegistrySettings,
    StoreSettings,
)
from modelway.settings.fields import MEBIBYTE
from modelway.settings.loading import (
    PREFIX,
    SECTIONS,
    TOML,
    SettingField,
    Settings,
    child_environment,
    environment_of,
    load_settings,
    setting_fields,
)
from modelway.settings.serving import (
    AdminSettings,
    GrpcSettings,
    InferenceSettings,
    RestSettings,
    ServeSettings,
    ShadowSettings,
    TelemetrySettings,
)
from modelway.settings.work import JobSettings

__all__ = [
    "MEBIBYTE",
    "PREFIX",
    "SECTIONS",
    "TOML",
    "AccessSettings",
    "AdminSettings",
    "BundleSettings",
    "GrpcSettings",
    "InferenceSettings",
    "JobSettings",
    "RecordSettings",
    "RegistrySettings",
    "RestSettings",
    "ServeSettings",
    "SettingField",
    "Settings",
    "ShadowSettings",
    "StoreSettings",
    "TelemetrySettings",
    "child_environment",
    "environment_of",
    "load_settings",
    "setting_fields",
]
