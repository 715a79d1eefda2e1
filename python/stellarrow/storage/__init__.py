"""Places that keep objects under keys, in a folder or in the cloud, behind one small seam.

`open_store` is imported when it is asked for: what it opens lies in modules that import this package first.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
