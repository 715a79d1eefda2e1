"""One connection to NATS, for threads: its client runs in a thread of its own, where calls wait for it."""

from __future__ import annotations

import asyncio
import ssl
import threading
import weakref
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import ConnectionClosedError

from stellarrow.sinks.nats.address import Address
from stellarrow.sinks.nats.failures import client_error

ANSWER_SECONDS: Final = 10.0
CONNECT_SECONDS: Final = 10.0
_CLOSE_SECONDS: Final = 1.0
_PENDING_BYTES: Final = 8 << 20  # on their way before a call waits
_Answer = TypeVar("_Answer")


@dataclass(frozen=True, slots=True)
class Reply:
    """What was answered; `status` is of answers that are not JetStream's own words."""

    data: bytes
    headers: Mapping[str, str]

    @property
    def status(self) -> str:
        return self.headers.get("Status", "")


class _Heard:
    """What a client says between calls: that the server refuses something, or is gone."""

    def __init__(self) -> None:
        self.last: Exception | None = None
        self._came = asyncio.Event()

    def forget(self) -> None:
        """Forget what was said while connecting: it worked out."""
        self.last = None
        self._came.clear()

    async def error(self, error: Exception) -> None:
        self.last = error
        self._came.set()

    async def closed(self) -> None:
        self.last = self.last or ConnectionClosedError()
        self._came.set()

    async def instead_of(self, work: Awaitable[_Answer], seconds: float) -> _Answer:
        """Return what the work does, unless something goes wrong meanwhile."""
        wrong = asyncio.ensure_future(self._came.wait())
        try:
            return await _bounded(work, seconds, wrong)
        except TimeoutError:
            raise self.last or TimeoutError(f"no answer in {seconds:g} s") from None
        finally:
            wrong.cancel()


@dataclass(slots=True)
class _Running:
    """A thread with a loop, and the client in it: what a finalizer ends, so it must not know its maker."""

    loop: asyncio.AbstractEventLoop
    thread: threading.Thread
    client: Client | None = None
    heard: _Heard | None = None


class Connection:
    """Connects when something is asked, by one thread at a time; after `drop`, it connects anew."""

    def __init__(self, address: Address) -> None:
        self.address = address
        self._alone = threading.Lock()  # two who connect at once would leave one connection open
        self._running: _Running | None = None
        self._ended: Callable[[], Any] | None = None

    @property
    def max_payload(self) -> int:
        """The largest message that the server takes, headers and all."""
        return self.run("connect to", _max_payload)

    def request(self, subject: str, data: bytes = b"", headers: dict[str, str] | None = None) -> Reply:
        """Ask, and return the answer."""

        async def asked(client: Client) -> Reply:
            return _reply(await client.request(subject, data, ANSWER_SECONDS, headers=headers))

        return self.run("ask", asked)

    def gather(self, subject: str, data: bytes) -> list[Reply]:
        """Ask, and return all answers up to the one that has a status."""

        async def asked(client: Client) -> list[Reply]:
            inbox = client.new_inbox()
            answers = await client.subscribe(inbox, pending_bytes_limit=-1, pending_msgs_limit=-1)
            try:
                await client.publish(subject, data, reply=inbox)
                found = []
                while True:
                    found.append(_reply(await answers.next_msg(ANSWER_SECONDS)))
                    if found[-1].status:
                        return found
            finally:
                with suppress(Exception):
                    await answers.unsubscribe()

        return self.run("read from", asked, seconds=3 * ANSWER_SECONDS)

    def run(
        self,
        doing: str,
        work: Callable[[Client], Coroutine[Any, Any, _Answer]],
        *,
        seconds: float | None = None,
    ) -> _Answer:
        """Do work with the client in its thread; what goes wrong is an error of ours, and the end of it."""
        with self._alone:
            return self._run(doing, work, seconds or 2 * ANSWER_SECONDS)

    def _run(
        self, doing: str, work: Callable[[Client], Coroutine[Any, Any, _Answer]], seconds: float
    ) -> _Answer:
        running = self._started()

        async def done() -> _Answer:
            nonlocal doing
            if running.client is None or running.heard is None:
                wanted, doing = doing, "connect to"
                running.heard = _Heard()
                running.client = await _connected(self.address, running.heard)
                doing = wanted
            return await running.heard.instead_of(work(running.client), seconds)

        future = asyncio.run_coroutine_threadsafe(done(), running.loop)
        try:
            return future.result()
        except Exception as error:
            self.drop()
            raise client_error(error, doing=doing, server=str(self.address)) from error
        except BaseException:
            future.cancel()
            self.drop()
            raise

    def drop(self) -> None:
        """Let go of the connection and its thread."""
        ended, self._ended, self._running = self._ended, None, None
        if ended:
            ended()

    def _started(self) -> _Running:
        if self._running is None:
            loop = asyncio.new_event_loop()
            thread = threading.Thread(target=_run_loop, args=(loop,), name="stellarrow-nats", daemon=True)
            self._running = _Running(loop, thread)
            thread.start()
            self._ended = weakref.finalize(self, _end, self._running)
        return self._running


def _run_loop(loop: asyncio.AbstractEventLoop) -> None:
    try:
        loop.run_forever()
    finally:
        loop.close()


def _end(running: _Running) -> None:
    """Close the client and end its thread."""
    asyncio.run_coroutine_threadsafe(_finish(running), running.loop)
    if threading.current_thread() is not running.thread:
        running.thread.join(2 * _CLOSE_SECONDS)


async def _finish(running: _Running) -> None:
    try:
        if running.client is not None:
            await _closed(running.client)
        left = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in left:
            task.cancel()
        if left:
            await asyncio.wait(left, timeout=_CLOSE_SECONDS)
    finally:
        running.loop.stop()


async def _max_payload(client: Client) -> int:
    return int(client.max_payload)


def _reply(message: Msg) -> Reply:
    headers = {str(getattr(name, "value", name)): value for name, value in (message.headers or {}).items()}
    return Reply(message.data, headers)


async def _connected(address: Address, heard: _Heard) -> Client:
    """Connect once: after a break, who asks learns of it, and decides what to do again."""
    client, login = Client(), address.login
    scheme = "tls" if login.tls else "nats"
    try:
        await _bounded(
            client.connect(
                [f"{scheme}://{one}" for one in address.servers],
                name="stellarrow",
                error_cb=heard.error,
                closed_cb=heard.closed,
                allow_reconnect=False,
                max_reconnect_attempts=1,
                reconnect_time_wait=0,
                connect_timeout=int(CONNECT_SECONDS),
                pending_size=_PENDING_BYTES,
                inbox_prefix=address.inbox,
                user=login.user or None,
                password=login.password or None,
                token=login.token or None,
                user_credentials=str(login.credentials) if login.credentials else None,
                tls=_tls(login.files) if login.tls else None,
            ),
            CONNECT_SECONDS,
        )
    except BaseException as error:
        last = heard.last
        await _closed(client)
        if last and isinstance(error, Exception) and not isinstance(error, ssl.SSLError):
            raise last from error
        raise
    heard.forget()
    return client


async def _bounded(work: Awaitable[_Answer], seconds: float, *others: asyncio.Future[Any]) -> _Answer:
    """Wait so long, and not for work that heeds no end; TimeoutError also once one of `others` is done."""
    doing = asyncio.ensure_future(work)
    try:
        await asyncio.wait((doing, *others), timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        if doing.done():
            return doing.result()
        raise TimeoutError(f"no answer in {seconds:g} s")
    finally:
        doing.cancel()


async def _closed(client: Client) -> None:
    with suppress(Exception):
        await _bounded(client.close(), _CLOSE_SECONDS)


def _tls(files: Mapping[str, Any]) -> ssl.SSLContext:
    made = ssl.create_default_context(cafile=files.get("ca"))
    if "certificate" in files:
        made.load_cert_chain(files["certificate"], files["private_key"])
    return made
