"""What DuckDB says is told as a sentence of this project's."""

from __future__ import annotations

import pytest

duckdb = pytest.importorskip("duckdb")

from stellarrow.sql.duckdb_errors import sentence  # noqa: E402  DuckDB is an extra


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("select * from nowhere", "there is no table nowhere."),
        ("select nothing from t", 'there is no column "nothing". Did you mean "one"?'),
        ("select t.nothing from t", 't has no column "nothing". Did you mean "one"?'),
        ("select nothing(one) from t", "there is no function nothing."),
        ("select x.one from t", 'Referenced table "x" not found! Did you mean "t"?'),
        ("set memry = '1'", 'unrecognized configuration parameter "memry". Did you mean "memory_limit"'),
        (
            "select substr(one) from t",
            "No function matches the given name and argument types 'substr(INTEGER)'.",
        ),
        ("selec 1", 'syntax error at or near "selec".'),
        ("select cast('a' as integer)", "Could not convert string 'a' to INT32."),
    ],
)
def test_what_duckdb_says_needs_no_knowledge_of_its_insides(query: str, said: str) -> None:
    with duckdb.connect() as connection:
        connection.execute("create table t(one integer)")
        with pytest.raises(duckdb.Error) as caught:
            connection.sql(query).fetchall()
        assert sentence(caught.value).startswith(said)


@pytest.mark.parametrize(
    ("query", "end"),
    [
        ("select nothing from t", '"one"?'),
        ("set memry = '1'", '"?'),
        ("select substr(one) from t", "VARCHAR."),
        ("select nothing(one) from t", "?"),
    ],
)
def test_a_hint_ends_with_one_mark_and_leaves_nothing_open(query: str, end: str) -> None:
    with duckdb.connect() as connection:
        connection.execute("create table t(one integer)")
        with pytest.raises(duckdb.Error) as caught:
            connection.sql(query).fetchall()
        said = sentence(caught.value)
        assert said.endswith(end)
        assert not said.endswith(("?.", "??", "..", ":"))
