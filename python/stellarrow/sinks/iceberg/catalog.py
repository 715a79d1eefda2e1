"""A namespace of a catalog: its tables, found, made and committed to, with one translation of errors."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count
from tempfile import TemporaryFile
from typing import Any, Final

import pyarrow as pa

from stellarrow.core.tables import is_typed
from stellarrow.core.typed_names import short_name
from stellarrow.errors import ConfigError, SinkError, SinkUnavailable
from stellarrow.extras import needing
from stellarrow.net.redaction import redacted_text
from stellarrow.sinks.files.formats.parquet import tells
from stellarrow.sinks.iceberg.commits import FEW_MANIFESTS, unretried
from stellarrow.sinks.iceberg.location import Location
from stellarrow.sinks.iceberg.partitions import METRICS, spec_of

with needing("Iceberg", "iceberg"):
    from pyiceberg.catalog import Catalog, load_catalog
    from pyiceberg.exceptions import (
        CommitFailedException,
        CommitStateUnknownException,
        NamespaceAlreadyExistsError,
        NoSuchNamespaceError,
        NoSuchTableError,
        ServerError,
        ServiceUnavailableError,
        TableAlreadyExistsError,
    )
    from pyiceberg.io.pyarrow import pyarrow_to_schema
    from pyiceberg.schema import Schema, assign_fresh_schema_ids
    from pyiceberg.table import Table, TableProperties
    from pyiceberg.table.sorting import NullOrder, SortDirection, SortField, SortOrder
    from pyiceberg.transforms import IdentityTransform
    from pyiceberg.utils.config import Config

_CHANCES: Final = 5  # to open a catalog beside others
COVERAGE: Final = "stellarrow.coverage"  # a property of tables
_CONTRACT: Final = "contract_id"
_TYPED: Final = "typed_"  # what the names of contracts' own tables begin with
_PROPERTIES: Final = {
    "write.metadata.delete-after-commit.enabled": "true",
    "write.metadata.previous-versions-max": "20",
    **FEW_MANIFESTS,
}


class Namespace:
    """Tables of one namespace; the catalog is asked when it is first needed."""

    def __init__(self, location: Location) -> None:
        self.location = location
        self._catalog: Catalog | None = None

    def __str__(self) -> str:
        return str(self.location)

    @property
    def catalog(self) -> Catalog:
        """The catalog, as PyIceberg's own configuration has it."""
        if self._catalog is None:
            with told(f"catalog {self.location.catalog}"):
                self._catalog = self._opened()
        return self._catalog

    def _opened(self) -> Catalog:
        name = self.location.catalog
        # What is set by now counts, not what was when the library was imported.
        settings: dict[str, Any] = {**(Config().get_catalog_config(name) or {})}
        for chance in range(_CHANCES):
            try:
                return load_catalog(name, **settings)
            except ValueError as error:
                raise ConfigError(
                    f"catalog {name} cannot be opened ({error}): name it in ~/.pyiceberg.yaml, or set"
                    f" PYICEBERG_CATALOG__{name.upper()}__URI"
                ) from error
            except Exception as error:
                # A catalog in a database makes its own tables, which fails where two do at once.
                if not _is_of_database(error) or chance + 1 == _CHANCES:
                    raise
                threading.Event().wait(0.05 * 2**chance)
        raise SinkError(f"catalog {name} cannot be opened")

    def close(self) -> None:
        """Let go of the catalog; it is opened again where it is needed."""
        catalog, self._catalog = self._catalog, None
        if catalog is not None:
            catalog.close()

    def where(self, name: str) -> str:
        """Return what people call a table."""
        return f"{self}.{table_name(name)}"

    def typed(self) -> list[str]:
        """Return the tables of the namespace that may be contracts' own, as they are called there."""
        with told(str(self)):
            try:
                found = self.catalog.list_tables(self.location.namespace)
            except NoSuchNamespaceError:
                return []
        return sorted(str(one[-1]) for one in found if str(one[-1]).startswith(_TYPED))

    def load(self, name: str) -> Table | None:
        """Return a table as it is now, None where there is none."""
        with told(self.where(name)):
            try:
                table = self.catalog.load_table(f"{self.location.namespace}.{table_name(name)}")
            except (NoSuchTableError, NoSuchNamespaceError):
                return None
        return unretried(table)

    def create(self, name: str, schema: pa.Schema, coverage: str) -> None:
        """Make a table, unless another writer did meanwhile."""
        with told(self.where(name)):
            with suppress(NamespaceAlreadyExistsError):
                self.catalog.create_namespace(self.location.namespace)
            made = with_ids(schema)
            order = SortOrder()
            if _CONTRACT in schema.names:
                source = made.find_field(_CONTRACT).field_id
                order = SortOrder(
                    SortField(source, IdentityTransform(), SortDirection.ASC, NullOrder.NULLS_LAST)
                )
            told_files = {TableProperties.DEFAULT_NAME_MAPPING: made.name_mapping.model_dump_json()}
            try:
                # In one call, as not every catalog can stage a table.
                self.catalog.create_table(
                    f"{self.location.namespace}.{table_name(name)}",
                    made,
                    partition_spec=spec_of(self.location, made),
                    sort_order=order,
                    properties={**_PROPERTIES, **unmeasured(schema), **told_files, COVERAGE: coverage},
                )
            except (TableAlreadyExistsError, CommitFailedException):
                return  # another writer was first

    def health(self) -> str:
        """Ask the catalog for its tables; return what it says."""
        with told(f"catalog {self.location.catalog}"):
            try:
                found = len(self.catalog.list_tables(self.location.namespace))
            except NoSuchNamespaceError:
                return "answers; the namespace is made with the first write"
        return f"answers, {found} {'table' if found == 1 else 'tables'} there"


def with_ids(schema: pa.Schema) -> Schema:
    """Return columns as Iceberg has them, numbered in their order, and what is inside them after them."""
    numbers = count(1)
    fields = [_numbered(field, numbers) for field in schema]
    return assign_fresh_schema_ids(pyarrow_to_schema(pa.schema(fields)))


def _numbered(field: pa.Field, numbers: Iterator[int]) -> pa.Field:
    kind = field.type
    if pa.types.is_list(kind):
        kind = pa.list_(_numbered(kind.value_field, numbers))
    elif pa.types.is_struct(kind):
        kind = pa.struct([_numbered(one, numbers) for one in kind])
    told = {b"PARQUET:field_id": str(next(numbers)).encode()}
    return pa.field(field.name, kind, field.nullable, told)


def table_name(name: str) -> str:
    """Return what a table is called in a namespace: contracts' own have names that no catalog takes."""
    return f"{_TYPED}{short_name(name)}" if is_typed(name) else name


def unmeasured(schema: pa.Schema) -> dict[str, str]:
    """Return properties that say of which columns files tell no least and greatest value."""
    return {f"{METRICS}{field.name}": "none" for field in schema if not tells(field)}


class FileUpload:
    """A file on this machine until it is put where a table keeps its files."""

    def __init__(self) -> None:
        self._file = TemporaryFile()  # noqa: SIM115  discard closes it
        self.table: Table | None = None

    def write(self, data: Any) -> int:
        return self._file.write(data)

    def written(self) -> pa.NativeFile:
        self._file.flush()
        self._file.seek(0)
        return pa.PythonFile(self._file, mode="r")

    def place(self, path: str, *, new: bool = False) -> bool:
        """Put the file; its name is nobody else's."""
        if self.table is None:
            raise SinkError(f"{path} cannot be put before its table is known: this is a fault of stellarrow")
        self._file.seek(0)
        with told(path), self.table.io.new_output(path).create(overwrite=not new) as out:
            while block := self._file.read(1 << 20):
                out.write(block)
        return True

    def discard(self) -> None:
        self._file.close()


@contextmanager
def told(what: str) -> Iterator[None]:
    """Translate what a catalog or a store raises."""
    try:
        yield
    except SinkError:
        raise
    except ConfigError:
        raise
    except ImportError as error:
        raise ConfigError(
            f"{what} needs {error.name or error}, which is not installed: pip install it"
        ) from error
    except (OSError, ServerError, ServiceUnavailableError, CommitStateUnknownException) as error:
        raise SinkUnavailable(f"{what} does not answer ({_line(error)}): check it, or try again") from error
    except Exception as error:
        raise SinkError(f"{what}: {_line(error)}") from error


def _is_of_database(error: BaseException) -> bool:
    """Tell whether the database of a catalog raised an error, and no one else."""
    return type(error).__module__.startswith("sqlalchemy.")


def _line(error: BaseException) -> str:
    return redacted_text(str(error).strip().partition("\n")[0] or type(error).__name__)
