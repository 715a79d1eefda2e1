"""A lifecycle as settings name it: a place, policies, an archive, the room that must be free."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from stellarrow.config.lifecycle import Aging
from stellarrow.errors import ConfigError
from stellarrow.lifecycle.archive import Archive, archive_location, local_folder
from stellarrow.lifecycle.free_space import Room
from stellarrow.lifecycle.policies import KINDS, Policy
from stellarrow.lifecycle.run import Lifecycle
from stellarrow.net.redaction import redacted_url
from stellarrow.security.audit_log import Audit
from stellarrow.sinks.files.location import open_existing, open_files


def policies_of(settings: Aging) -> dict[str, Policy]:
    """Read the policies by kind of file; a ConfigError where one cannot be meant."""
    policies = {}
    for kind, name in KINDS.items():
        policies[kind] = Policy.parse(str(vars(settings)[name]), settings.origin(name))
    return policies


@contextmanager
def opened(
    settings: Aging, place: str, *, audit: Audit, who: str, method: str, patience: float = 0.0
) -> Iterator[Lifecycle]:
    """Open a place that is there, and its archive; `who` and `method` are for the audit log."""
    policies = policies_of(settings)
    with ExitStack() as kept:
        store = open_existing(place)
        kept.callback(store.close)
        archive, location = None, None
        if settings.archive:
            location = archive_location(settings.archive, place)
            archive = Archive(open_files(location), location)
            kept.callback(archive.store.close)
        yield Lifecycle(
            store=store,
            policies=policies,
            archive=archive,
            audit=audit,
            who=who,
            method=method,
            patience=patience,
            room=_room(settings, place, location),
        )


def _room(settings: Aging, place: str, archive: str | None) -> Room | None:
    if settings.min_free is None:
        return None
    folder = local_folder(place)
    if folder is None:
        raise ConfigError(f"{redacted_url(place)} is no folder of this machine: leave out --min-free")
    return Room.of(
        settings.min_free, settings.origin("min_free"), folder, local_folder(archive) if archive else None
    )
