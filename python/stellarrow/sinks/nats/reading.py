"""What subjects hold, whoever wrote them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from stellarrow.sinks.nats.coverage import REMEDY, CoverageLog
from stellarrow.sinks.nats.stream import Stream
from stellarrow.sinks.transactional.held_messages import HeldMessage, HeldMessages
from stellarrow.sinks.transactional.windows import Window


@dataclass(frozen=True, slots=True)
class HeldSubject(HeldMessages):
    """A table in a subject."""

    stream: Stream = field(repr=False, compare=False)

    @property
    def place(self) -> str:
        return f"{self.stream}, subject {self.stream.address.subject(self.name)},"

    def messages(self, window: Window) -> Iterator[HeldMessage]:
        subject = self.stream.address.subject(self.name)
        if is_apart(self.making.key, self.schema.names):
            subject += ".*"
        for first, end in window.offsets.values():
            for one in self.stream.messages(subject, first, end):
                where = f"at sequence {one.sequence} of {self.stream}"
                yield HeldMessage.read(dict(one.headers), one.value, where)

    def reason(self, window: Window) -> str:  # noqa: ARG002  Kafka needs it
        there = self.stream.state()
        if there and there.is_aging:
            return "its max_age removed the rest, which is not written again"
        return f"somebody removed the rest, which is not written again: {REMEDY} to have it all"


def is_apart(key: str, columns: list[str]) -> bool:
    """Tell whether messages are apart by contract, so that subjects end in it."""
    return key == "contract" and "contract_id" in columns


def held_subjects(stream: Stream) -> list[HeldSubject]:
    """Return the tables of a subject_prefix."""
    log = CoverageLog(stream)
    log.refresh()
    return [
        HeldSubject(name, making, log.covered(name), log, stream)
        for name in log.tables
        if (making := log.making(name))
    ]
