"""One who knows a single caller, by the token `right`."""

from __future__ import annotations

from stellarrow.errors import Unauthenticated
from stellarrow.security.permissions import Permission
from stellarrow.security.principal import Call, Principal


class Doorman:
    kind = "test"

    def __call__(self, call: Call, /) -> Principal | None:
        if not call.token:
            return None
        if call.token != "right":
            raise Unauthenticated("this key is not known")
        return Principal("somebody", self.kind, ("admin",), frozenset(Permission))

    def may_wait(self, _: Call, /) -> bool:
        return False
