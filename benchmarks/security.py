"""What it costs to let a caller in, in CPU by kind of credential, and what TLS leaves of a stream's speed.

python benchmarks/security.py; everything on loopback, server and client share the cores.

Where TLS's CPU goes, of both ends together (perf, 2 cores of an AMD EPYC, pyarrow 26, whose gRPC uses
OpenSSL): 0.77 s a GB more than the 1.58 without. AES-256-GCM is about 0.14 of it, copies in gRPC's endpoint
into and out of OpenSSL's records of 16 KB are 0.22, the records themselves and gRPC's slices 0.17, the
kernel (pages for those buffers, more and smaller writes) 0.20. TLS left 0.80 of the speed with little else
running, and 0.64 to 0.77 while others loaded the machine, where CPU alone counts.

What was tried and helped nothing, by CPU a GB in the same run: frames of HTTP/2 of 1 and 16 MB (as fast or
slower), a window of 8 MB without BDP probes, reads of 1 MB and more at once, gRPC's experiment
tcp_frame_size_tuning. AES-128 cannot be chosen: gRPC in pyarrow passes GRPC_SSL_CIPHER_SUITES to the ciphers
of TLS 1.2 alone, and refuses to start with those of 1.3; the whole cipher is a fifth of the price. Zero-copy
sending is an option of the channel, which pyarrow's server takes none of.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import trustme
from joserfc import jwt
from joserfc.jwk import RSAKey
from machine import describe
from pyarrow import flight

import stellarrow as sa
from stellarrow.core.synthetic import synthetic
from stellarrow.errors import AccessRefused
from stellarrow.net.address import Address
from stellarrow.processor.processor import Options, Processor
from stellarrow.security.access import Access, Authenticator
from stellarrow.security.jwt import JwtAuthenticator, TokenPolicy
from stellarrow.security.key_authenticator import KeyAuthenticator
from stellarrow.security.key_sources import FileKeys
from stellarrow.security.key_store import KeyStore
from stellarrow.security.mtls import MtlsAuthenticator
from stellarrow.security.principal import Call, Certificate
from stellarrow.security.tls import Tls
from stellarrow.servers.processor_flight import FlightServer
from stellarrow.sources.files import FileSource

CALLS = 5_000
TURNS = 7
LEDGERS = 150
LEDGER_BYTES = 1_330_000
GOALS_US = {"API key": 50.0, "token, seen before": 200.0}
TLS_GOAL = 0.8
ANYWHERE = Address("127.0.0.1", 0)
CALL = "GET /sessions"


def cpu_us(work: Callable[[], object], *, calls: int) -> float:
    """Return microseconds of CPU a call, the median of some turns."""
    taken = []
    for _ in range(TURNS):
        began = time.process_time()
        for _ in range(calls):
            work()
        taken.append((time.process_time() - began) / calls * 1e6)
    return statistics.median(taken)


def admitted(
    authenticator: Authenticator, headers: Mapping[str, str], certificate: Any = None
) -> Callable[[], object]:
    access = Access([authenticator])
    return lambda: access.admit(Call(CALL, dict(headers), "127.0.0.1", certificate))


def refused(authenticator: Authenticator) -> Callable[[], object]:
    access = Access([authenticator])
    call = Call(CALL, {"authorization": "Bearer stlr_guess"}, "127.0.0.1")

    def work() -> None:
        with suppress(AccessRefused):
            access.admit(call)

    return work


def credentials(folder: Path) -> Iterator[tuple[str, float]]:
    """Yield each kind of credential and the CPU of letting it in."""
    with closing(KeyStore(folder / "keys.sqlite3")) as store:
        _, text = store.create("bench", ["reader"], created_by="bench")
        key = KeyAuthenticator(store)
        bearer = {"authorization": f"Bearer {text}"}
        admitted(key, bearer)()  # the day of the first use is noted
        yield "API key", cpu_us(admitted(key, bearer), calls=CALLS)
        yield "refused", cpu_us(refused(key), calls=CALLS)
    signing = RSAKey.generate_key(2048, parameters={"kid": "one"})
    keys = folder / "keys.json"
    keys.write_text(json.dumps({"keys": [signing.as_dict(private=False)]}))
    policy = TokenPolicy(issuer="https://i.example", audience="stellarrow", algorithms=("RS256",))
    claims = {"iss": policy.issuer, "aud": policy.audience, "sub": "me", "exp": int(time.time()) + 600}
    token = jwt.encode({"alg": "RS256", "kid": "one"}, {**claims, "roles": ["reader"]}, signing)
    bearer = {"authorization": f"Bearer {token}"}

    def anew() -> None:
        admitted(JwtAuthenticator(source, policy), bearer)()

    source = FileKeys(keys, symmetric=False)
    yield "token, seen before", cpu_us(admitted(JwtAuthenticator(source, policy), bearer), calls=CALLS)
    yield "token, first seen (RS256)", cpu_us(anew, calls=CALLS // 10)
    mutual = MtlsAuthenticator({"me.example": ("reader",)})
    certificate = Certificate(("SAN:me.example",))
    yield "certificate", cpu_us(admitted(mutual, {}, certificate), calls=CALLS)


@contextmanager
def served(processor: Processor, tls: Tls | None) -> Iterator[FlightServer]:
    with closing(FlightServer(ANYWHERE, processor, tls=tls)) as server:
        yield server


def read_all(server: FlightServer, ca: bytes | None) -> tuple[float, float]:
    """Read all the sessions keep of a table; return MB of Arrow a second, and CPU seconds a GB."""
    scheme, trust = ("grpc+tls", {"tls_root_certs": ca}) if ca else ("grpc", {})
    with flight.connect(f"{scheme}://{server.address}", **trust) as client:
        ticket = flight.Ticket(b'{"table": "contract_events", "follow": false}')
        began, used, size = time.monotonic(), time.process_time(), 0
        for chunk in client.do_get(ticket):
            size += pa.ipc.get_record_batch_size(chunk.data)
        return size / (time.monotonic() - began) / 1e6, (time.process_time() - used) / size * 1e9


def streams(folder: Path) -> dict[str, tuple[float, float]]:
    """Return speed and CPU of a stream, plain and with TLS, measured in turns."""
    ledgers = folder / "ledgers.xdr"
    ledgers.write_bytes(
        b"".join(
            (len(one) | 1 << 31).to_bytes(4) + one
            for one in islice(synthetic(7, first=100, ledger_bytes=LEDGER_BYTES), LEDGERS)
        )
    )
    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1")
    issued.private_key_pem.write_to_path(folder / "key.pem")
    issued.cert_chain_pems[0].write_to_path(folder / "certificate.pem")
    tls = Tls(folder / "certificate.pem", folder / "key.pem")
    options = Options(state_dir=folder / "state", network=sa.Network.of("synthetic"))
    with closing(Processor(lambda: FileSource(ledgers), options)) as processor:
        session = processor.start(100, 99 + LEDGERS)
        while not processor.work(session.id).session.status.is_final:
            time.sleep(0.1)
        with served(processor, None) as plain, served(processor, tls) as secured:
            taken: dict[str, list[tuple[float, float]]] = {"plain": [], "TLS": []}
            for _ in range(TURNS):
                taken["plain"].append(read_all(plain, None))
                taken["TLS"].append(read_all(secured, authority.cert_pem.bytes()))
    return {
        name: (statistics.median(one for one, _ in turns), statistics.median(one for _, one in turns))
        for name, turns in taken.items()
    }


def main() -> int:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        print("| a call with | CPU | goal |\n| --- | ---: | ---: |")
        missed = False
        for kind, cost in credentials(folder):
            goal = GOALS_US.get(kind, 1_000.0 if kind == "refused" else None)
            missed |= goal is not None and cost > goal
            print(f"| {kind} | {cost:.1f} µs | {f'{goal:.0f} µs' if goal else ''} |", flush=True)
        print("\n| Flight, contract_events | MB/s | CPU of both ends, s/GB |\n| --- | ---: | ---: |")
        measured = streams(folder)
        for way, (speed, cpu) in measured.items():
            print(f"| {way} | {speed:,.0f} | {cpu:.2f} |")
        ratio = measured["TLS"][0] / measured["plain"][0]
        missed |= ratio < TLS_GOAL
        print(f"\nTLS leaves {ratio:.2f} of the speed (goal {TLS_GOAL}).")
    print("\n" + ", ".join(f"{name} {value}" for name, value in describe().items()))
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
