"""Settings: one frozen class a service, read from a TOML file, the environment and flags."""

from stellarrow.config.analytics import Analytics
from stellarrow.config.client import Client
from stellarrow.config.lifecycle import Lifecycle
from stellarrow.config.reading import find_file, read
from stellarrow.config.security import Listening
from stellarrow.config.services import SERVICES, Consumer, Extract, Processor, Source
from stellarrow.config.settings import Settings
from stellarrow.config.sink_server import SinkServer

__all__ = [
    "SERVICES",
    "Analytics",
    "Client",
    "Consumer",
    "Extract",
    "Lifecycle",
    "Listening",
    "Processor",
    "Settings",
    "SinkServer",
    "Source",
    "find_file",
    "read",
]
