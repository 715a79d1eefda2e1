"""What distributes work over processes, fetched when a slow test first needs it; a Spark session to ask."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import pytest

import stellarrow
from build_servers import fetch_engine, fetch_spark_jars

PACKAGE: Final = Path(stellarrow.__file__).parents[1]
_TESTS: Final = Path(__file__).parents[1]
_JAVA: Final = 17  # the oldest that Spark 4 runs on
_SETTINGS: Final = """
spark.ui.enabled false
spark.driver.bindAddress 127.0.0.1
spark.driver.host 127.0.0.1
spark.driver.memory 512m
spark.executor.memory 512m
spark.executor.extraJavaOptions -XX:+UseSerialGC -XX:TieredStopAtLevel=1
spark.driver.extraJavaOptions -XX:+UseSerialGC -XX:TieredStopAtLevel=1
spark.deploy.maxExecutorRetries -1
spark.sql.session.timeZone UTC
"""
_LAKES: Final = """
spark.sql.extensions io.delta.sql.DeltaSparkSessionExtension,\
org.apache.iceberg.spark.extensions.IcebergSparkSessionExtensions
spark.sql.catalog.spark_catalog org.apache.spark.sql.delta.catalog.DeltaCatalog
spark.databricks.delta.retentionDurationCheck.enabled false
spark.sql.shuffle.partitions 2
"""
_LOGGING: Final = """
rootLogger.level = error
rootLogger.appenderRef.stdout.ref = console
appender.console.type = Console
appender.console.name = console
appender.console.target = SYSTEM_ERR
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %p %c{1}: %m%n
"""


def _servers() -> Path:
    return Path(os.environ.get("STELLARROW_SERVERS") or Path(sys.prefix, "servers", "bin")).parent


def engine(name: str) -> Path:
    """Return the folder to import an engine from; the test is skipped where it cannot be had."""
    servers = _servers()
    if reason := fetch_engine(servers / "engines", name):
        pytest.skip(f"{name} could not be fetched: {reason}")
    return servers / "engines" / name


def environment(site: Path) -> dict[str, str]:
    """Return an environment in which Python finds this package and an engine."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (PACKAGE, _TESTS, site)))}


def spark_environment(folder: Path, settings: str = "") -> dict[str, str]:
    """Return an environment in which Spark runs, with its settings in a folder; skip where it does not."""
    java = shutil.which("java")
    said = subprocess.run([java, "-version"], capture_output=True, text=True, check=False) if java else None
    version = re.search(r'version "(\d+)', said.stderr) if said else None
    if version is None or int(version[1]) < _JAVA:
        pytest.skip(
            f"Spark takes Java {_JAVA} or newer: install a JRE, such as Debian's default-jre-headless"
        )
    site = engine("spark")
    folder.mkdir(exist_ok=True)
    (folder / "spark-defaults.conf").write_text(f"{_SETTINGS}spark.local.dir {folder}\n{settings}")
    (folder / "log4j2.properties").write_text(_LOGGING)
    return environment(site) | {
        "SPARK_HOME": str(site / "pyspark"),
        "SPARK_CONF_DIR": str(folder),
        "SPARK_LOCAL_IP": "127.0.0.1",
        "SPARK_LOCAL_HOSTNAME": "localhost",
        "PYSPARK_PYTHON": sys.executable,
        "PYTHONWARNINGS": "ignore",
    }


class SparkSession:
    """A Spark session in a process of its own, which runs pieces of Python that know it as `spark`."""

    def __init__(self, env: Mapping[str, str], log: Path) -> None:
        self._log = log
        with log.open("w") as errors:
            self._process = subprocess.Popen(
                [sys.executable, _TESTS / "fakes" / "_spark_session.py"],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True, env=env,
            )  # fmt: skip

    def run(self, code: str, **names: Any) -> Any:
        """Run a piece in which `names` are known; return what it called `answer`."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps({"code": code, "names": names}) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, f"Spark has ended: {self._log.read_text(errors='replace')[-2_000:]}"
        told = json.loads(line)
        if "error" in told:
            raise RuntimeError(told["error"])
        return told["answer"]

    def stop(self) -> None:
        """End it."""
        assert self._process.stdin
        self._process.stdin.close()
        try:
            self._process.wait(60)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        assert self._process.stdout
        self._process.stdout.close()


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkSession]:
    """One Spark on two threads for all tests."""
    folder = tmp_path_factory.mktemp("spark")
    session = SparkSession(spark_environment(folder / "conf"), folder / "log")
    try:
        yield session
    finally:
        session.stop()


@pytest.fixture(scope="session")
def lake_spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkSession]:
    """One Spark that knows Delta and Iceberg, for all tests."""
    folder, jars = tmp_path_factory.mktemp("lake-spark"), _servers() / "spark-jars"
    fetch_spark_jars(jars)
    if not (jars / ".jars").is_file():
        pytest.skip("Spark's jars for Delta and Iceberg were not fetched: it takes Maven")
    found = ",".join(map(str, sorted(jars.glob("*.jar"))))
    session = SparkSession(
        spark_environment(folder / "conf", f"{_LAKES}spark.jars {found}\n"), folder / "log"
    )
    try:
        yield session
    finally:
        session.stop()


@pytest.fixture
def engine_site() -> Callable[[str], Path]:
    """Return what finds an engine."""
    return engine
