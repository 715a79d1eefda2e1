"""The image: its Containerfile, its health check, and it at work, read-only and as nobody."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import trustme

from deploy.containers import ROOT, Image
from deploy.test_release import WHEELS
from deploy.tools import tool
from fakes.process import free_port
from fakes.rpc import RpcNode, serving
from stellarrow import extras
from test_wheel import CASES, NOBODY, Done, fault, lake_at

CONTAINERFILE = ROOT / "deploy" / "Containerfile"
# Of what is pulled, by how a registry keeps it; docs/deploying.md says what it was when measured.
MEGABYTES = {"gzip": 120, "zstd": 100}
LEVELS = {"gzip": 9, "zstd": 12}
# Of a command in a container: as tests of the wheel have it.
ENVIRON = (
    "AWS_ENDPOINT_URL=http://127.0.0.1:1 AWS_ACCESS_KEY_ID=a AWS_SECRET_ACCESS_KEY=b AWS_REGION=eu-west-1"
    " AWS_ALLOW_HTTP=true GOOGLE_BEARER_TOKEN=x LOG_FORMAT=console"
)
ZONED = """
import getpass, ssl
from datetime import datetime
from zoneinfo import ZoneInfo
import pyarrow as pa, pyarrow.compute as pc
moment = pa.array([datetime(2024, 7, 1)], pa.timestamp("s", "Europe/Berlin"))
print(pc.strftime(moment, "%Y-%m-%d %H:%M:%S")[0])
paths = ssl.get_default_verify_paths()
print(bool(paths.cafile or paths.capath))
print(getpass.getuser())
"""


def load_check() -> Any:
    spec = importlib.util.spec_from_file_location("healthcheck", ROOT / "deploy" / "image" / "healthcheck.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


CHECK = load_check()


@contextmanager
def answering(status: int, authority: trustme.CA | None = None) -> Iterator[int]:
    """Serve a status for every path, over TLS where an authority is given; yield the port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status if self.path == "/ready" else 404)
            self.end_headers()

        def log_message(self, *given: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        if authority:
            import ssl  # noqa: PLC0415  here alone

            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            authority.issue_cert("stellarrow.internal").configure_cert(context)
            server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


def test_hadolint_finds_nothing_in_the_containerfile() -> None:
    program = Path(sys.executable).with_name("hadolint")
    done = subprocess.run([program, CONTAINERFILE], capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout) == (0, "")


def test_the_image_runs_as_nobody_has_a_health_check_and_names_every_default_port() -> None:
    text = CONTAINERFILE.read_text()
    assert "USER 65532:65532" in text
    assert "HEALTHCHECK" in text
    assert 'ENTRYPOINT ["stellarrow"]' in text
    exposed = set(re.findall(r"^EXPOSE (.*)$", text, re.MULTILINE)[0].split())
    assert exposed == {"50053", "8815", "8088", "50054", "8816", "8089", "9090", "8080", "8081", "8817"}
    for name in ("title", "description", "licenses", "version", "revision"):
        assert f"org.opencontainers.image.{name}=" in text


def test_the_health_check_finds_the_address_by_flag_by_variable_or_by_default(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("HEALTH_PORT", raising=False)
    assert CHECK.given(["source", "serve"], "HEALTH_PORT", "8088") == "8088"
    monkeypatch.setenv("HEALTH_PORT", "0.0.0.0:1")
    assert CHECK.given(["source", "serve"], "HEALTH_PORT", "8088") == "0.0.0.0:1"
    assert CHECK.given(["source", "--health-port", ":2"], "HEALTH_PORT", "8088") == ":2"
    assert CHECK.given(["source", "--health-port=:3", ""], "HEALTH_PORT", "8088") == ":3"


@pytest.mark.parametrize(("status", "code"), [(200, 0), (503, 1)])
def test_the_health_check_says_whether_the_service_is_ready(status: int, code: int) -> None:
    with answering(status) as port:
        assert CHECK.ask(["source"], "127.0.0.1", port) == code


def test_the_health_check_speaks_tls_to_a_service_of_any_name() -> None:
    with answering(200, trustme.CA()) as port:
        assert CHECK.ask(["source", "--tls-certificate", "server.pem"], "127.0.0.1", port) == 0


@pytest.fixture(scope="module")
def image(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Image]:
    if os.geteuid():
        pytest.skip("building and running a container without an engine takes root")
    for name in ("buildah", "crun", "mmdebstrap"):
        tool(name)
    made = Image(tmp_path_factory.mktemp("image"))
    made.build(wheel)
    yield made
    made.remove()


@pytest.fixture
def volume(image: Image) -> Path:
    """A folder that the container's user owns, where it can pass to."""
    folder = image.folder / f"volume-{free_port()}"
    folder.mkdir()
    return folder


@pytest.mark.slow
def test_the_image_says_what_it_is_and_what_is_pulled_is_small(image: Image, volume: Path) -> None:
    with image.started(volume, "--version") as container:
        code, said = container.ended()
    assert (code, said.startswith("stellarrow, version")) == (0, True)
    for codec, most in MEGABYTES.items():
        archive = image.folder / f"image-{codec}.tar"
        flags = [f"--compression-format={codec}", f"--compression-level={LEVELS[codec]}"]
        image.buildah("push", image.policy, *flags, image.name, f"oci-archive:{archive}")
        size = archive.stat().st_size / 1e6
        print(f"the image is {size:.1f} MB in {codec}")
        assert size < most


@pytest.mark.slow
def test_nothing_that_installs_or_builds_is_in_the_image(image: Image) -> None:
    programs = {path.name for path in image.mounted.glob("usr/bin/*")}
    assert programs & {"apt", "apt-get", "dpkg", "perl", "bash", "gcc", "pip", "pip3"} == set()
    assert {"sh", "dash"} <= programs
    status = (image.mounted / "var/lib/dpkg/status").read_text()
    assert {"libc6", "libstdc++6", "ca-certificates"} <= set(
        re.findall(r"^Package: (\S+)$", status, re.MULTILINE)
    )


@pytest.mark.slow
def test_every_command_works_in_the_image(image: Image, volume: Path, ledgers: Sequence[bytes]) -> None:
    """As it does where a wheel is installed with the extras that the image has."""
    has = {module for extra in WHEELS.EXTRAS for module in extras.EXTRAS[extra]}
    ports = {name: f"127.0.0.1:{free_port()}" for name in ("GRPC_ADDRESS", "FLIGHT_ADDRESS", "HEALTH_PORT")}
    command = ["source", "serve", "--source", "/opt/stellarrow/ledgers", "--network", "pubnet"]
    (volume / "token.wasm").write_bytes(b"no code")
    faults = []
    with (
        image.started(volume, *command, **ports) as container,
        serving(RpcNode(ledgers)) as node,
        lake_at(volume) as http,
    ):
        container.wait_until_healthy()
        for case in CASES:
            line = case.line.format(rpc=node.url, http=http, nobody=NOBODY) if "{" in case.line else case.line
            if case.serves:
                continue
            done = container.exec("sh", "-c", f"cd /var/lib/stellarrow; export {ENVIRON}; exec {line}")
            if said := fault(case, Done(done.returncode, done.stdout, done.stderr), has):
                faults.append(said)
    assert faults == [], "\n\n".join(faults)


@pytest.mark.slow
def test_dates_in_a_time_zone_and_certificates_are_what_they_are_elsewhere(
    image: Image, volume: Path
) -> None:
    with image.started(
        volume,
        "source",
        "serve",
        "--source",
        "/opt/stellarrow/ledgers",
        "--network",
        "pubnet",
        **{name: f"127.0.0.1:{free_port()}" for name in ("GRPC_ADDRESS", "FLIGHT_ADDRESS", "HEALTH_PORT")},
    ) as container:
        container.wait_until_healthy()
        done = container.exec("python3", "-c", ZONED)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.split() == ["2024-07-01", "02:00:00", "True", "stellarrow"]


@pytest.mark.slow
def test_a_service_in_a_container_is_healthy_keeps_to_its_volume_and_ends_at_sigterm(
    image: Image, volume: Path
) -> None:
    ports = {name: f"127.0.0.1:{free_port()}" for name in ("GRPC_ADDRESS", "FLIGHT_ADDRESS", "HEALTH_PORT")}
    command = ["source", "serve", "--source", "/opt/stellarrow/ledgers", "--network", "pubnet"]
    with image.started(volume, *command, **ports) as container:
        container.wait_until_healthy()
        assert container.exec("python3", "-c", "import os; print(os.getuid())").stdout.strip() == "65532"
        assert container.exec("sh", "-c", ": > /opt/stellarrow/x").returncode != 0
        assert container.exec("sh", "-c", ": > /var/lib/stellarrow/x").returncode == 0
        assert container.signal("TERM") == 0
    assert (volume / "x").stat().st_uid == 65532


@pytest.mark.slow
def test_what_a_killed_container_had_written_is_continued_by_the_next_one(image: Image, volume: Path) -> None:
    def ports() -> dict[str, str]:
        names = ("GRPC_ADDRESS", "FLIGHT_ADDRESS", "HEALTH_PORT")
        return {name: f"127.0.0.1:{free_port()}" for name in names}

    command = ["synth", "--ledgers", "50", "--size", "8KB", "--out", "/var/lib/stellarrow/lake"]
    with image.started(volume, *command) as container:
        assert container.ended()[0] == 0
    lake = ["--source", "/var/lib/stellarrow/lake", "--network", "synthetic"]
    command = ["processor", "serve", *lake, "--start-ledger", "2"]
    with image.started(volume, *command, **ports()) as container:
        container.wait_until_healthy()
        container.signal("KILL")
    with image.started(volume, *command, **ports()) as container:
        container.wait_until_healthy()
        said = container.exec("stellarrow", "watch", "--once", "--at", container.environ["HEALTH_PORT"])
        assert said.returncode == 0, said.stdout + said.stderr
        assert "synthetic" in said.stdout or "session" in said.stdout
        assert container.signal("TERM") == 0
