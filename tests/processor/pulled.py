"""A reader that takes nothing, and whose cable is pulled: run in a network of its own, with LAKE and STATE.

It prints the seconds until the processor has let go of the reader.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from stellarrow.net.address import Address
from stellarrow.processor.processor import Options, Processor
from stellarrow.servers.processor_flight import FlightServer
from stellarrow.sources.files import FileSource

_PATIENCE_SECONDS = 120

READER = """
import sys, time
from pyarrow import flight
stream = flight.connect(sys.argv[1]).do_get(flight.Ticket(b'{"table": "contract_events"}'))
stream.read_chunk()
print("begun", flush=True)
time.sleep(1_000)
"""


def _set_link(state: str) -> None:
    subprocess.run([str(shutil.which("ip")), "link", "set", "lo", state], check=True)


def main(lake: Path, state: Path) -> None:
    _set_link("up")
    processor = Processor(lambda: FileSource(lake), Options(state_dir=state, tables=("contract_events",)))
    server = FlightServer(Address("127.0.0.1", 0), processor)
    work = processor.work(processor.start(100, 199).id)
    while not work.session.status.is_final:
        time.sleep(0.05)
    argv = [sys.executable, "-c", READER, f"grpc://{server.address}"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE) as reader:
        assert reader.stdout
        reader.stdout.readline()
        time.sleep(3)  # until what lies between them is full
        _set_link("down")
        reader.kill()
    assert work.spool
    assert work.spool.readers, "it had taken everything"
    began = time.monotonic()
    while work.spool.readers:
        assert time.monotonic() - began < _PATIENCE_SECONDS, "it is still waited for"
        time.sleep(0.1)
    print(time.monotonic() - began, flush=True)
    os._exit(0)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
