from .analytics import Analytics
from .client import Client
from .extract import Extract
from .lifecycle import Lifecycle
from .reading import find_file, read
from .security import Listening
from .services import SERVICES, Consumer, Processor, Source
from .settings import Settings
from .sink_server import SinkServer

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
