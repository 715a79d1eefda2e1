"""An Apache Kafka broker, alone in its cluster, with a listener for each way to connect."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest
import trustme
from cryptography.hazmat.primitives import serialization

from fakes.jars import jars
from fakes.process import Process, free_port

PASSWORD: Final = "ann-knows-it"
_START_SECONDS: Final = 180.0
_CLUSTER: Final = "c3RlbGxhcnJvdy10ZXN0cw"
_SETTINGS: Final = """
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=PLAIN://127.0.0.1:{plain},PROXIED://127.0.0.1:{proxied},SCRAM://127.0.0.1:{scram},\
SECURE://127.0.0.1:{secure},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAIN://127.0.0.1:{plain},PROXIED://127.0.0.1:{proxy},SCRAM://127.0.0.1:{scram},\
SECURE://127.0.0.1:{secure}
listener.security.protocol.map=PLAIN:PLAINTEXT,PROXIED:PLAINTEXT,SCRAM:SASL_PLAINTEXT,SECURE:SASL_SSL,\
CONTROLLER:PLAINTEXT
inter.broker.listener.name=PLAIN
controller.listener.names=CONTROLLER
listener.name.scram.sasl.enabled.mechanisms=SCRAM-SHA-512
listener.name.secure.sasl.enabled.mechanisms=PLAIN
listener.name.scram.scram-sha-512.sasl.jaas.config=\
org.apache.kafka.common.security.scram.ScramLoginModule required;
listener.name.secure.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required \
user_ann="{password}" user_bob="{password}";
listener.name.secure.ssl.keystore.type=PEM
listener.name.secure.ssl.keystore.location={folder}/server.pem
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:ANONYMOUS;User:ann
log.dirs={folder}/data
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=1
group.initial.rebalance.delay.ms=0
log.cleaner.backoff.ms=100
auto.create.topics.enable=false
"""


@dataclass(frozen=True, slots=True)
class Broker:
    """A broker: the ports of its listeners. What connects to `proxied` is told to come to `proxy`."""

    process: Process
    jars: Path
    ca: Path
    plain: int
    proxied: int
    proxy: int
    scram: int
    secure: int

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.plain}"


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """One broker for all tests; each writes to topics of its own names."""
    found, folder = jars("kafka"), tmp_path_factory.mktemp("kafka")
    names = ("plain", "proxied", "proxy", "scram", "secure", "controller")
    ports = {name: free_port() for name in names}
    settings = folder / "server.properties"
    settings.write_text(_SETTINGS.format(folder=folder, password=PASSWORD, **ports))
    ca = _certificates(folder)
    java: list[str | Path] = ["java", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]
    java += ["-Dorg.slf4j.simpleLogger.defaultLogLevel=error"]
    java += ["-cp", f"{found}/*"]
    scram = f"SCRAM-SHA-512=[name=ann,password={PASSWORD}]"
    argv = [*java, "kafka.tools.StorageTool", "format", "-t", _CLUSTER, "-c", settings, "--add-scram", scram]
    subprocess.run(argv, check=True, capture_output=True, timeout=_START_SECONDS)
    process = Process(
        [*java, "kafka.Kafka", settings],
        port=ports["plain"],
        log=folder / "log",
        patience=_START_SECONDS,
    )
    del ports["controller"]
    yield Broker(process, found, ca, **ports)
    process.kill()  # an orderly end takes seconds, and nothing is kept


def _certificates(folder: Path) -> Path:
    """Make the broker's certificate with its key, as Kafka reads them, and return its CA's file."""
    ca = trustme.CA()
    server = ca.issue_cert("127.0.0.1", "localhost")
    key = serialization.load_pem_private_key(server.private_key_pem.bytes(), None)
    text = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    chain = b"".join(one.bytes() for one in server.cert_chain_pems)
    (folder / "server.pem").write_bytes(text + chain)
    ca.cert_pem.write_to_path(folder / "ca.pem")
    return folder / "ca.pem"
