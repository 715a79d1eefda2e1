"""Who may come in where a server listens, and what they may do: the one place that every transport asks."""

from __future__ import annotations

import re
import secrets
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from stellarrow.errors import ConfigError, PermissionDenied, TooManyCalls, Unauthenticated
from stellarrow.net.address import LOOPBACK, Address, CannotListen
from stellarrow.security.audit_log import Audit, Event, NoAudit
from stellarrow.security.limits import Buckets, Rate, caller_of
from stellarrow.security.logins import Logins
from stellarrow.security.permissions import RULES, Asked, Permission, Rule, permissions_of
from stellarrow.security.principal import EVERYBODY, NOBODY, Call, CredentialExpired, Principal
from stellarrow.security.proxies import TrustedProxies
from stellarrow.security.tickets import Tickets
from stellarrow.security.tls import Tls
from stellarrow.telemetry.metrics import Metrics

_CHECK_SECONDS: Final = 0.25  # between looks at whether a stream's caller is still let in
_REQUEST_ID: Final = re.compile(r"[A-Za-z0-9._\-]{1,64}")


class Authenticator(Protocol):
    """Knows one kind of credential."""

    kind: str

    def __call__(self, call: Call, /) -> Principal | None:
        """Return who calls; None where nothing of this kind is shown, Unauthenticated where it is refused."""

    def may_wait(self, call: Call, /) -> bool:
        """Tell whether that may take longer than looking something up."""


class Grant:
    """A call that was let in; a stream asks now and then whether it still is."""

    def __init__(self, principal: Principal, call: Call | None = None, request_id: str = "") -> None:
        self.principal = principal
        self.call = call
        self.request_id = request_id
        self._due = time.monotonic() + _CHECK_SECONDS
        self._has_ended = False

    def can(self, permission: Permission) -> bool:
        return self.principal.can(permission)

    @property
    def owner(self) -> str:
        """Whose what is kept for the caller is; empty where callers are not known."""
        return f"{self.principal.kind}:{self.principal.name}" if self.call else ""

    def has_ended(self) -> bool:
        """Tell whether the credential has expired or was revoked since."""
        now = time.monotonic()
        if not self._has_ended and now >= self._due:
            self._due = now + _CHECK_SECONDS
            self._has_ended = not self.principal.is_valid()
        return self._has_ended

    def check(self) -> None:
        """Raise Unauthenticated where it has ended."""
        if self.has_ended():
            raise Unauthenticated(f"the credential of {self.principal.name} has expired or was revoked")


OPEN: Final = Grant(EVERYBODY)  # of a server that protects nothing


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What holds beside the credentials themselves."""

    authorize: bool = True
    anonymous_role: str | None = None
    rate: Rate | None = None
    anonymous_rate: Rate | None = None
    proxies: TrustedProxies = field(default_factory=TrustedProxies)
    failure_rate: Rate = Rate.of(60, 60)  # noqa: RUF009  of an address; frozen


class Access:
    """Authenticates, limits, authorizes and audits each call. Any thread may call."""

    def __init__(
        self,
        authenticators: Sequence[Authenticator],
        *,
        policy: Policy | None = None,
        audit: Audit | None = None,
        metrics: Metrics | None = None,
    ) -> None:
        self.audit: Audit = audit or NoAudit()
        self.tickets = Tickets()
        self._authenticators: tuple[Authenticator, ...] = (*authenticators, self.tickets)
        self._policy = policy = policy or Policy()
        self._metrics = metrics or Metrics()
        self._anonymous = _anonymous(policy)
        self._calls = Buckets(policy.rate) if policy.rate else None
        self._strangers = Buckets(policy.anonymous_rate) if policy.anonymous_rate else None
        self._failures = Buckets(policy.failure_rate)
        self._logins = Logins()

    def admit(self, call: Call) -> Grant:
        """Let a call in; Unauthenticated, PermissionDenied or TooManyCalls where it may not be made."""
        rule = RULES[call.name]
        if rule.need is Asked.NOTHING:
            return Grant(NOBODY, call)
        call = self._policy.proxies.located(call)
        request_id = _request_id(call)
        try:
            principal = self._authenticated(call)
            self._note_login(principal, call, request_id)
            self._limit(principal, call)
            self._authorize(principal, rule)
        except PermissionDenied as error:
            self._record("permission denied", call, principal.name, str(error), request_id)
            raise
        except Unauthenticated as error:
            self._refuse(call, error, request_id)
            raise
        return Grant(principal, call, request_id)

    def may_wait(self, call: Call) -> bool:
        """Tell whether admitting a call may take long, as where keys of an issuer are to be fetched."""
        return RULES[call.name].need is not Asked.NOTHING and any(
            one.may_wait(call) for one in self._authenticators
        )

    def authenticate(self, call: Call) -> Principal:
        """Return whose credential a call shows, whatever it is for; Unauthenticated where it shows none."""
        try:
            principal = self._authenticated(call)
            if principal.kind == "anonymous":
                raise Unauthenticated("authentication required")
            self._note_login(principal, call, _request_id(call))
        except Unauthenticated as error:
            self._refuse(call, error, _request_id(call))
            raise
        return principal

    def permit(self, grant: Grant, need: Permission) -> None:
        """Let a call that was let in do what needs a permission; an error, and a line, where it may not."""
        call = grant.call
        try:
            self._authorize(grant.principal, Rule(need))
        except PermissionDenied as error:
            if call:
                self._record("permission denied", call, grant.principal.name, str(error), grant.request_id)
            raise

    def done(self, grant: Grant, *, target: str = "", result: str = "ok") -> None:
        """Note a call that the audit log has a line of."""
        if grant.call and (event := RULES[grant.call.name].event):
            self._record(event, grant.call, grant.principal.name, result, grant.request_id, target=target)

    def note(self, event: str, *, target: str, result: str) -> None:
        """Note what the service did by itself."""
        call = Call("", {})
        self._record(event, call, "service", result, _request_id(call), target=target)

    def _authenticated(self, call: Call) -> Principal:
        for authenticator in self._authenticators:
            try:
                principal = authenticator(call)
            except Unauthenticated:
                self._metrics.auth_attempts.labels(authenticator.kind, "failure").inc()
                raise
            if principal is not None:
                self._metrics.auth_attempts.labels(authenticator.kind, "success").inc()
                return principal
        if call.token:
            self._metrics.auth_attempts.labels("unknown", "failure").inc()
            raise Unauthenticated("the credential is of no kind that is accepted here")
        return self._anonymous

    def _note_login(self, principal: Principal, call: Call, request_id: str) -> None:
        if principal.kind != "anonymous" and self._logins.is_first(principal, call.address):
            self._record("authenticated", call, principal.name, f"ok: {principal.kind}", request_id)

    def _limit(self, principal: Principal, call: Call) -> None:
        is_known = principal.kind != "anonymous"
        buckets = self._calls if is_known else self._strangers
        if not buckets:
            return
        caller = f"{principal.kind}:{principal.name}" if is_known else caller_of(call.address)
        if wait := buckets.take(caller):
            name = "principal" if is_known else "address"
            self._metrics.rate_limit_rejections.labels(name).inc()
            raise TooManyCalls(f"too many calls: try again in {wait:.1f} s", wait)

    def _authorize(self, principal: Principal, rule: Rule) -> None:
        if rule.need is Asked.OPTIONAL:
            return
        is_known = principal.kind != "anonymous"
        if isinstance(rule.need, Permission):
            if principal.can(rule.need) or (is_known and not self._policy.authorize):
                return
            if is_known:
                raise PermissionDenied(f"{principal.name} has no role with the permission {rule.need.value}")
        elif is_known or self._policy.anonymous_role:
            return
        raise Unauthenticated("authentication required")

    def _refuse(self, call: Call, error: Unauthenticated, request_id: str) -> None:
        """Note a failure; who fails too often is told to wait, and leaves no more lines."""
        if wait := self._failures.take(caller_of(call.address)):
            self._metrics.rate_limit_rejections.labels("failures").inc()
            raise TooManyCalls(f"too many failed calls: try again in {wait:.1f} s", wait) from error
        event = "key expired" if isinstance(error, CredentialExpired) else "authentication failed"
        self._record(event, call, "", str(error), request_id)

    def _record(
        self, event: str, call: Call, principal: str, result: str, request_id: str, *, target: str = ""
    ) -> None:
        self.audit.record(
            Event(
                event=event,
                principal=principal,
                method=call.name,
                address=call.address,
                target=target,
                result=result,
                request_id=request_id,
            )
        )


def admit(access: Access | None, call: Call) -> Grant:
    """Let a call in where something protects the server, and anybody where nothing does."""
    return access.admit(call) if access else OPEN


def status_result(error: Exception | None) -> str:
    """Return what the audit log says of how a call ended."""
    return "ok" if error is None else f"{type(error).__name__}: {error}"


def _anonymous(policy: Policy) -> Principal:
    roles = (policy.anonymous_role,) if policy.anonymous_role else ()
    return Principal("anonymous", roles=roles, permissions=permissions_of(roles))


def _request_id(call: Call) -> str:
    """Return the caller's own, where it is harmless, or a new one."""
    given = call.headers.get("x-request-id", "")
    return given if _REQUEST_ID.fullmatch(given) else secrets.token_hex(8)


def guarded(address: Address, *, tls: Tls | None, access: Access | None, insecure: bool) -> Address:
    """Return the address, or refuse one that others can reach while anybody may come in."""
    proven = tls is not None and (tls.client_ca is not None or access is not None)
    if address.is_loopback or proven or insecure:
        return address
    raise ConfigError(
        f"{address} can be reached from outside, and nothing would keep anybody out: listen on {LOOPBACK},"
        " set up TLS and authentication, or say --insecure where the network itself is closed"
    )


BACKLOG: Final = 128  # connections that wait to be taken


def bound(address: Address) -> socket.socket:
    """Return a socket that listens on the address: nobody else can any more, in this process either."""
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    taken = socket.socket(family, socket.SOCK_STREAM)
    taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        taken.bind((address.host, address.port))
        taken.listen(BACKLOG)
    except OSError as error:
        taken.close()
        raise CannotListen(f"cannot listen on {address} ({error.strerror})") from error
    return taken
