"""The door to sqlglot: SQL text in, its syntax tree out, what is wrong with it in a sentence."""

from __future__ import annotations

from typing import Any, Final, TypeAlias

from stellarrow.errors import ConfigError
from stellarrow.extras import needing
from stellarrow.sql.limits import check_text, check_tokens, check_tree, cut

with needing("SQL", "sql"):
    import sqlglot
    from sqlglot import TokenType, errors, expressions

Condition: TypeAlias = expressions.Expression
_DIALECT: Final = "duckdb"
_AROUND: Final = 24  # characters of the text that a message shows on each side


def parse_condition(text: str) -> Condition:
    """Parse what follows WHERE."""
    found = _parsed("where", text, f"SELECT 1 WHERE {text}")
    extra = set(_clauses(found)) - {"expressions", "where"}
    if extra or not found.args.get("where"):
        raise ConfigError(f"where: {cut(text)!r} holds more than a condition: write what follows WHERE alone")
    condition: Condition = found.args["where"].this.unnest()
    return condition


def parse_columns(text: str, *, option: str = "select") -> list[Condition]:
    """Parse what stands between SELECT and FROM."""
    found = _parsed(option, text, f"SELECT {text}")
    if set(_clauses(found)) != {"expressions"}:
        raise ConfigError(f"{option}: {cut(text)!r} holds more than columns: write what follows SELECT alone")
    return list(found.expressions)


def split_groups(text: str) -> tuple[str, str]:
    """Split `figures by groups`, or `figures group by groups`; the second is empty where there is no BY."""
    check_text("aggregate", text)
    try:
        tokens = sqlglot.tokenize(text, dialect=_DIALECT)
    except errors.SqlglotError as error:
        raise ConfigError(f"aggregate: {_reason(text, text, error)}") from error
    depth, before = 0, ""
    for token in tokens:
        depth += (token.text == "(") - (token.text == ")")
        is_by = token.text.lower() == "by" and before not in ("as", ",", "")
        if depth == 0 and (is_by or token.token_type is TokenType.GROUP_BY):
            groups = text[token.end + 1 :]
            if not groups.strip():
                raise ConfigError(f"aggregate: nothing stands behind BY in {cut(text)!r}: name a column")
            return text[: token.start], groups
        before = token.text.lower()
    return text, ""


def written(tree: Any) -> str:
    """Say a tree as SQL, whole, so that it can be parsed again."""
    return str(tree.sql(dialect=_DIALECT))


def shown(tree: Any) -> str:
    """Say a tree as SQL, cut where it is long."""
    return cut(str(tree.sql(dialect=_DIALECT)))


def _clauses(found: Any) -> list[str]:
    return [name for name, value in found.args.items() if value]


def _parsed(option: str, text: str, query: str) -> Any:
    check_text(option, text)
    try:
        check_tokens(option, sqlglot.tokenize(query, dialect=_DIALECT))
        found = sqlglot.parse_one(query, dialect=_DIALECT)
    except errors.SqlglotError as error:
        raise ConfigError(f"{option}: {_reason(text, query, error)}") from error
    if not isinstance(found, expressions.Select):
        raise ConfigError(f"{option}: {cut(text)!r} holds more than one statement: write one expression")
    check_tree(option, found)
    return found


def _reason(text: str, query: str, error: errors.SqlglotError) -> str:
    if not text.strip():
        return "the expression is empty"
    if not isinstance(error, errors.ParseError) or not error.errors:
        return f"{cut(text)!r} is no SQL expression: is a quote open? text stands in 'single quotes'"
    known = error.errors[0]
    at = max(0, (known["col"] or 0) - 1 - (len(query) - len(text)))
    near = text[max(0, at - _AROUND) : at + _AROUND].strip()
    hint = ""
    if "from" in text.lower().split() or known["highlight"].lower() == "from":
        hint = '; the column "from" stands in double quotes, as FROM is a word of SQL'
    return f"{cut(text)!r} is no SQL expression, near {near!r}{hint}"
