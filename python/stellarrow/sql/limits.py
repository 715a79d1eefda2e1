"""How large an expression may be: known before it is parsed or computed, as it may come from anybody."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any, Final

from stellarrow.errors import ConfigError
from stellarrow.extras import needing

with needing("SQL", "sql"):
    from sqlglot import Token, TokenType
    from sqlglot import expressions as sql

MAX_DIGITS: Final = 76  # of Arrow's widest decimal
_MAX_CHARACTERS: Final = 500_000
_MAX_TOKENS: Final = 50_000
_MAX_NODES: Final = 5_000  # beside constants: a list behind IN may be long
_MAX_DEPTH: Final = 64
_SHOWN_CHARACTERS: Final = 160  # of an expression, in a message

_OPENING: Final = frozenset((TokenType.L_PAREN, TokenType.L_BRACKET, TokenType.L_BRACE))
_CLOSING: Final = frozenset((TokenType.R_PAREN, TokenType.R_BRACKET, TokenType.R_BRACE))
_BEFORE: Final = frozenset((TokenType.NOT, TokenType.DASH, TokenType.TILDE))  # nest without a parenthesis


def check_text(option: str, text: str) -> None:
    if len(text) > _MAX_CHARACTERS:
        raise ConfigError(
            f"{option}: the expression has {len(text):,} characters, at most {_MAX_CHARACTERS:,} are read:"
            " write it shorter"
        )


def check_tokens(option: str, tokens: Iterable[Token]) -> None:
    """Refuse what would take too long, or too deep a stack, to parse."""
    depth = run = cases = 0
    for count, token in enumerate(tokens):
        run = run + 1 if token.token_type in _BEFORE else 0
        depth += (token.token_type in _OPENING) - (token.token_type in _CLOSING)
        cases += token.token_type is TokenType.CASE  # END may also be a name: they are counted, not paired
        if depth + run > _MAX_DEPTH or cases > _MAX_DEPTH:
            raise ConfigError(_too_deep(option))
        if count > _MAX_TOKENS:
            raise ConfigError(
                f"{option}: the expression has more than {_MAX_TOKENS:,} words: write it shorter"
            )
        if token.token_type is TokenType.NUMBER:
            number(token.text)


def check_tree(option: str, tree: Any) -> None:
    """Refuse what would take too long, or too deep a stack, to compile and to compute."""
    nodes, waiting = 0, [(tree, 1)]
    while waiting:
        node, depth = waiting.pop()
        nodes += not isinstance(node, sql.Literal)
        if nodes > _MAX_NODES:
            raise ConfigError(
                f"{option}: the expression has more than {_MAX_NODES:,} parts beside constants: write it"
                " shorter, such as with IN"
            )
        if depth > _MAX_DEPTH:
            raise ConfigError(_too_deep(option))
        for child in node.iter_expressions():
            # A AND B AND C is as deep as A AND B, as it is compiled.
            goes_on = isinstance(node, sql.And | sql.Or) and type(child) is type(node)
            waiting.append((child, depth + (not goes_on)))


def number(text: str) -> Decimal:
    """Return a number as it is written; ConfigError where it has more digits than can be computed with."""
    try:
        value = Decimal(text)
        exponent = value.as_tuple().exponent
        if value.is_finite() and isinstance(exponent, int):
            whole, fraction = max(value.adjusted() + 1, 1), max(-exponent, 0)
            if whole + fraction <= MAX_DIGITS:
                return value
    except ArithmeticError as error:
        raise ConfigError(f"{cut(text)} is no number: write it such as 1000000 or 0.5") from error
    raise ConfigError(f"{cut(text)} is no number to compute with: it may have {MAX_DIGITS} digits at most")


def cut(text: str) -> str:
    """Shorten a text for a message."""
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}…"


def _too_deep(option: str) -> str:
    return (
        f"{option}: the SQL expression nests too deep, more than {_MAX_DEPTH} levels or CASEs: write it"
        " shorter, such as with IN"
    )
