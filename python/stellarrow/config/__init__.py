"""Settings: one frozen class a service, read from a TOML file, the environment and flags.

Each is imported when it is asked for: a command takes one of them, and all of them take time to make.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
