"""URLs as people may see them: without the passwords, tokens and keys that they hold.

Every message, log line, report and stored text that names a URL gets it from here.
"""

from __future__ import annotations

import re
from typing import Final

from stellarrow.net.printable import printable

MASK: Final = "********"

# What follows a scheme belongs to the URL, up to a space, a quotation mark or the end of a sentence.
# Bounds keep the search linear, whatever somebody sends.
_IN_TEXT: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]{0,60}:/{1,3}[^\s\"'<>`]+")
_QUOTED: Final = re.compile(
    r"(?P<quote>['\"])(?P<url>[A-Za-z][A-Za-z0-9+.\-]{0,60}:/{1,3}[^'\"\n]*)(?P=quote)"
)
_URL: Final = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.\-:]*?):(?P<slashes>/{1,3})(?P<rest>.*)", re.DOTALL)
_BARE_LOGIN: Final = re.compile(r"(?<![\w/.@%+\-])[^\s:/@\"'(]{1,1000}:[^\s/@\"']{1,1000}@(?=[\w\[*])")
# Between URLs of a list; the brokers of one have a comma between them, too, and ports.
_BETWEEN: Final = re.compile(r",(?=[A-Za-z][A-Za-z0-9+.\-]*:(?!\d{1,5}(?:[,/?]|$)))")
_FORMATS: Final = re.compile(r"(?:parquet|jsonl|csv|delta|iceberg):", re.IGNORECASE)
_PARAMETER: Final = re.compile(
    r"\b(?P<name>password|passwd|pwd|passfile|sslpassword|secret|token|sig|signature|api[_-]?key|access[_-]?key)"
    r"(?P<equals>\s*=\s*)(?!\*{8})(?P<value>'(?:[^'\\]|\\.)*'|[^\s&,;\"']+)",
    re.IGNORECASE,
)
_AUTHORITY_END: Final = re.compile(r"[/?#]")
_PORT: Final = re.compile(r"(?:\[[^\]]*\]|[^:\[\]]*)(?::\d{0,5})?")
# Options of ours and of PostgreSQL that are no secrets; a value under any other name is hidden.
_HARMLESS: Final = frozenset(
    (
        *("partition", "codec", "ledgers", "endpoint", "mode", "schema", "sslmode", "application_name"),
        *(
            "connect_timeout",
            "target_session_attrs",
            "hostaddr",
            "host",
            "port",
            "dbname",
            "user",
            "unsigned",
        ),
        *("region", "fsync", "durable", "retention", "partition_ledgers"),
        *("topic_prefix", "format", "key", "partitions", "tls", "ca", "certificate", "private_key", "sasl"),
        *("settings", "stream", "subject_prefix", "replicas", "credentials", "inbox_prefix"),
    )
)
# Words that stand in the path of an RPC node's address and are no key.
_RPC_WORDS: Final = re.compile(
    r"v\d+|rpc|api|soroban|soroban-rpc|stellar|stellar-rpc|jsonrpc|json-rpc|mainnet|testnet|futurenet|pubnet"
    r"|public|node|nodes|ext|http|https|",
    re.IGNORECASE,
)
_KEY: Final = re.compile(r"(?=.*[0-9])(?=.*[A-Za-z])[A-Za-z0-9_\-~=%]{16,}")
_LAKE_FOLDER: Final = re.compile(r"[0-9A-F]{8}--\d+(?:-\d+)?")
# What follows these names a bucket or a folder, and no part of it is a key.
_STORES: Final = ("s3", "gs", "az", "file", "parquet", "jsonl", "csv", "delta", "iceberg")


def redacted_url(url: str, *, rpc: bool = False) -> str:
    """Return one URL, or a list of them, for people: user information, query values and keys are hidden.

    In the path of an RPC node's address (`rpc`, or a scheme that begins with rpc+) all but well-known words
    count as a key; in other web addresses, what looks like one.
    """
    return printable(",".join(_redacted(one, rpc=rpc) for one in _BETWEEN.split(url)))


def shortened(text: str, longest: int = 100) -> str:
    """Cut a text that somebody else sent, for a message."""
    return text if len(text) <= longest else f"{text[:longest]}…"


def redacted_text(text: str, *, longest: int = 100_000) -> str:
    """Return a sentence, such as another library's error, with every URL and login in it for people.

    Where it is longer than `longest`, its middle is left out: it may hold what a client sent, of any length.
    """
    text = printable(_without_middle(text, longest))
    text = _QUOTED.sub(lambda found: f"{found['quote']}{redacted_url(found['url'])}{found['quote']}", text)
    return _loose(_IN_TEXT.sub(lambda found: _in_sentence(found[0]), text))


def _without_middle(text: str, longest: int) -> str:
    """Keep both ends of a text, without words of theirs that are cut and could be a part of a secret."""
    if len(text) <= longest:
        return text
    head, _, word = text[: longest // 2].rpartition(" ")
    head = f"{head} {word}" if word.isalnum() else head
    tail = text[-longest // 2 :].partition(" ")[2]
    return f"{head} … {len(text) - len(head) - len(tail):,} characters left out … {tail}"


def _in_sentence(found: str) -> str:
    url = found.rstrip(".,:;)]}")
    return redacted_url(url) + found[len(url) :]


def _redacted(url: str, *, rpc: bool) -> str:
    match = _URL.fullmatch(url)
    if not match:
        place, mark, options = url.partition("?")
        options = f"{mark}{_query(options)}" if _FORMATS.match(url) else f"{mark}{options}"
        return _loose(place + options)
    scheme = match["scheme"].lower().rpartition(":")[2]
    rpc = rpc or scheme.startswith("rpc")
    login, host, path, asked, fragment = _parts(match["rest"], scheme)
    shown = f"{match['scheme']}:{match['slashes']}{_login(login, scheme)}{host}{_path(path, scheme, rpc=rpc)}"
    shown += f"?{_query(asked)}" if asked is not None else ""
    return shown + (f"#{MASK}" if fragment else "")


def _parts(rest: str, scheme: str) -> tuple[str | None, str, str, str | None, str]:
    """Split what follows the slashes; a password may hold the signs that end one in a well-formed URL."""
    end = found.start() if (found := _AUTHORITY_END.search(rest)) else len(rest)
    authority = rest[:end]
    # "user:pa/ss@host": what looks like host and port is none, so the login goes on to the last @.
    unfinished = "@" not in authority and "@" in rest and not _PORT.fullmatch(authority)
    could_have_login = scheme not in _STORES and "@" in re.split(r"[?#]", rest[end:])[0]
    login: str | None = None
    if "@" in authority or unfinished or could_have_login:
        split = rest.rpartition("@") if unfinished or could_have_login else rest.partition("@")
        login, rest = split[0], split[2]
        while "@" in rest[: found.start() if (found := _AUTHORITY_END.search(rest)) else len(rest)]:
            rest = rest.partition("@")[2]
        end = found.start() if (found := _AUTHORITY_END.search(rest)) else len(rest)
    host, behind = rest[:end], rest[end:]
    behind, _, fragment = behind.partition("#")
    path, mark, query = behind.partition("?")
    return login, host, path, query if mark else None, fragment


def _login(login: str | None, scheme: str) -> str:
    if login is None:
        return ""
    user, colon, _ = login.partition(":")
    if scheme in ("postgres", "postgresql"):
        return f"{user}{colon}{MASK if colon else ''}@"  # who logs in is no secret there
    return f"{MASK}@"


def _path(path: str, scheme: str, *, rpc: bool) -> str:
    if scheme in _STORES or scheme.startswith("postgres"):
        return path
    return "/".join(MASK if _is_key(part, rpc=rpc) else part for part in path.split("/"))


def _is_key(part: str, *, rpc: bool) -> bool:
    if rpc:
        return not _RPC_WORDS.fullmatch(part)
    return bool(_KEY.fullmatch(part)) and not _LAKE_FOLDER.fullmatch(part)


def _query(query: str) -> str:
    shown: list[str] = []
    for part in query.split("&"):
        name, equals, value = part.partition("=")
        if not part:
            shown.append(part)
        elif not equals:
            shown.append(MASK)
        elif name.lower() in _HARMLESS:
            shown.append(f"{name}={redacted_url(value)}")
        else:
            shown.append(f"{name}={MASK}" if value else part)
    return "&".join(shown)


def _loose(text: str) -> str:
    """Hide what is a login or a password without being part of a URL: user:password@host, password=…"""
    if not _FORMATS.match(text):
        text = _BARE_LOGIN.sub(f"{MASK}@", text)
    return _PARAMETER.sub(lambda found: f"{found['name']}{found['equals']}{MASK}", text)
