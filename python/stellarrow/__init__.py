"""Stellar ledgers to Apache Arrow, fast and exactly.

The names are those of `__init__.pyi`, each imported when it is first asked for, so that no command waits
for what it does not use.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
