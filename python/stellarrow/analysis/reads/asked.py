"""What the core is asked of a row group: the terms of a probe, by the places of columns."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import pyarrow as pa

from stellarrow.analysis.reads.layouts import Layout
from stellarrow.core.few_rows import Terms
from stellarrow.sinks.files.group_index import Probe, sections_of


@dataclass(frozen=True, slots=True)
class Asked:
    """The `whole` of the columns that are needed, and those that alone tell whether a row is meant.

    Terms are by the places in either. `is_all` tells whether they say all that the probe does.
    """

    whole: pa.Schema
    terms: Terms
    probed: pa.Schema
    probed_terms: Terms
    is_all: bool

    @classmethod
    def of(cls, probe: Probe, schema: pa.Schema, needed: Iterable[str]) -> Asked | None:
        """Return what is asked of a table; None where none of its columns tells anything."""
        sections = sections_of(schema)

        def tells(section: str) -> bool:
            return section in sections

        told: Probe = tuple(term for term in probe if all(any(tells(s) for s, _ in one) for one in term))
        if not told:
            return None
        known = {s for term in told for one in term for s, _ in one if tells(s)}
        probed = {name for section in known for name in sections[section]}
        whole = _part(schema, {*needed, *probed})
        few = _part(schema, probed)
        is_all = all(tells(s) for term in probe for one in term for s, _ in one)
        return cls(whole, _terms(told, sections, whole), few, _terms(told, sections, few), is_all)


@dataclass(frozen=True, slots=True)
class ByCore:
    """A file whose row groups the core is asked, each by itself."""

    file: pa.NativeFile
    layout: Layout
    asked: Asked

    def may_have(self, group: int) -> bool:
        """Tell whether a row group has rows that are asked for, by the few columns that say so."""
        found = self.layout.few(self.file, group, self.asked.probed, self.asked.probed_terms)
        return found is None or found.num_rows > 0

    def rows(self, group: int) -> pa.RecordBatch | None:
        """Return the rows that are asked for; None where Arrow has to decode the row group."""
        return self.layout.few(self.file, group, self.asked.whole, self.asked.terms)


def _part(schema: pa.Schema, names: set[str]) -> pa.Schema:
    return pa.schema([field for field in schema if field.name in names], schema.metadata)


def _terms(probe: Probe, sections: dict[str, list[str]], schema: pa.Schema) -> Terms:
    places = {name: at for at, name in enumerate(schema.names)}

    def wanted(one: Iterable[tuple[str, str]]) -> list[tuple[Sequence[int], str]]:
        return [([places[name] for name in sections[s]], text) for s, text in one if s in sections]

    return [[wanted(one) for one in term] for term in probe]
