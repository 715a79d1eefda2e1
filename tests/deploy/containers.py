"""The image, built and run without an engine: buildah builds it, crun runs it, both as root."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from deploy.tools import tool

ROOT: Final = Path(__file__).parents[2]
SECONDS: Final = 900.0  # for a step of building
# Debian's packages of the base, and of where it is installed.
PACKAGES: Final = {
    "base": "python3,ca-certificates,libstdc++6",
    "installer": "python3,python3-venv,ca-certificates,libstdc++6,binutils",
}
_LEFT_OUT: Final = ("/usr/share/doc/*", "/usr/share/man/*", "/usr/share/locale/*")
_WITHOUT_GROUPS: Final = 'mount -t tmpfs tmpfs /sys/fs/cgroup; exec "$@"'


def run(*words: str | Path, cwd: Path | None = None, seconds: float = SECONDS) -> str:
    """Run a program, which may call others that lie beside it."""
    path = f"{os.environ['PATH']}:{Path(words[0]).parent}"
    done = subprocess.run(
        words,
        cwd=cwd,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        check=False,
        timeout=seconds,
    )
    assert done.returncode == 0, f"{words}\n{done.stdout[-4_000:]}\n{done.stderr[-4_000:]}"
    return done.stdout


@dataclass
class Image:
    """What the Containerfile makes, of Debian's packages, in a store of its own."""

    folder: Path
    name: str = "localhost/stellarrow"
    mounted: Path = Path()
    config: dict[str, Any] = field(default_factory=dict)

    def buildah(self, *words: str | Path, cwd: Path | None = None) -> str:
        places = [
            f"--root={self.folder / 'store'}",
            f"--runroot={self.folder / 'run'}",
            "--storage-driver=vfs",
        ]
        return run(tool("buildah"), *places, *words, cwd=cwd)

    @property
    def policy(self) -> str:
        """The flag that lets images of our own in, which nobody signed."""
        file = self.folder / "policy.json"
        file.write_text('{"default": [{"type": "insecureAcceptAnything"}]}')
        return f"--signature-policy={file}"

    def build(self, wheel: Path) -> None:
        for base, packages in PACKAGES.items():
            self._build_base(base, packages)
        context = self.folder / "context"
        (context / "dist").mkdir(parents=True)
        shutil.copy(wheel, context / "dist")
        for name in ("deploy/image", "deploy/Containerfile", "requirements-dev.lock"):
            place = context / name
            place.parent.mkdir(parents=True, exist_ok=True)
            copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
            copy(ROOT / name, place)
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--only-binary=:all:"]
        extras = f"{wheel}[sql,lake,rpc,grpc,postgres,servers,analytics,otel]"
        wheels = context / "dist" / "packages"
        run(*pip, "--dest", wheels, "--constraint", ROOT / "requirements-dev.lock", extras)
        (wheels / wheel.name).unlink()
        bases = {"BUILDER": "base", "INSTALLER": "installer"}
        given = [f"--build-arg={name}=localhost/{base}" for name, base in bases.items()]
        self._bud(
            *given, "--build-arg=VERSION=0", "--tag", self.name, "--file=deploy/Containerfile", cwd=context
        )
        shutil.rmtree(context)
        inspected = json.loads(self.buildah("inspect", "--type", "image", self.name))
        self.config = inspected["Docker"]["config"]
        container = self.buildah("from", "--pull-never", self.name).strip()
        self.mounted = Path(self.buildah("mount", container).strip())

    def _build_base(self, name: str, packages: str) -> None:
        folder = self.folder / name
        folder.mkdir()
        slim = [f"--dpkgopt=path-exclude={pattern}" for pattern in _LEFT_OUT]
        words = ["--variant=essential", f"--include={packages}", *slim, "bookworm"]
        run(tool("mmdebstrap"), *words, folder / f"{name}.tar")
        (folder / "Containerfile").write_text(f"FROM scratch\nADD {name}.tar /\n")
        self._bud("--tag", f"localhost/{name}", cwd=folder)
        shutil.rmtree(folder)

    def _bud(self, *words: str, cwd: Path) -> None:
        self.buildah(
            "bud", self.policy, "--isolation=chroot", "--pull-never", "--format=docker", *words, ".", cwd=cwd
        )

    def remove(self) -> None:
        self.buildah("umount", "--all")
        self.buildah("rm", "--all")
        shutil.rmtree(self.folder, ignore_errors=True)

    @contextmanager
    def started(self, volume: Path, *command: str, **environ: str) -> Iterator[Container]:
        """Start a container: as nobody, read-only, without capabilities, on the network of the host."""
        made = Container(self, volume, list(command), environ)
        made.start()
        try:
            yield made
        finally:
            made.remove()


@dataclass
class Container:
    """A running container."""

    image: Image
    volume: Path
    command: Sequence[str]
    environ: dict[str, str]
    process: subprocess.Popen[bytes] | None = None

    def __post_init__(self) -> None:
        self.id = f"stellarrow-{os.getpid()}-{time.monotonic_ns()}"
        self.bundle = self.image.folder / self.id
        self.log = self.bundle / "log"

    def start(self) -> None:
        self.bundle.mkdir()
        os.chown(self.volume, 65532, 65532)
        (self.bundle / "config.json").write_text(json.dumps(self._spec()))
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                self._crun("run", "--bundle", str(self.bundle), self.id),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def _crun(self, *words: str) -> list[str]:
        """Return a call of crun where no control groups are to be seen: it refuses some kinds of them."""
        flags = ["--root", str(self.image.folder / "crun"), "--cgroup-manager=disabled"]
        alone = ["/usr/bin/unshare", "--mount", "/bin/sh", "-c", _WITHOUT_GROUPS, "sh"]
        return [*alone, str(tool("crun")), *flags, *words]

    def _spec(self) -> dict[str, Any]:
        config = self.image.config
        given = [*config["Env"], *(f"{name}={value}" for name, value in self.environ.items())]
        tmpfs = {"type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "nodev", "mode=1777"]}
        return {
            "ociVersion": "1.0.2",
            "process": {
                "user": dict(zip(("uid", "gid"), map(int, config["User"].split(":")), strict=True)),
                "args": [*config["Entrypoint"], *self.command],
                "env": given,
                "cwd": config["WorkingDir"],
                "noNewPrivileges": True,
            },
            "root": {"path": str(self.image.mounted), "readonly": True},
            "mounts": [
                {"destination": "/proc", "type": "proc", "source": "proc"},
                {
                    "destination": "/dev",
                    "type": "tmpfs",
                    "source": "tmpfs",
                    "options": ["nosuid", "mode=755"],
                },
                {"destination": "/tmp", **tmpfs},  # noqa: S108  the container's
                {
                    "destination": "/var/lib/stellarrow",
                    "type": "bind",
                    "source": str(self.volume),
                    "options": ["bind", "rw"],
                },
            ],
            "linux": {"namespaces": [{"type": kind} for kind in ("pid", "mount", "ipc", "uts")]},
        }

    def exec(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a command in the container, as its user."""
        return subprocess.run(
            self._crun("exec", "--user", self.image.config["User"], self.id, *words),
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    def wait_until_healthy(self, seconds: float = 120.0) -> None:
        """Wait until the image's own health check is content."""
        check = self.image.config["Healthcheck"]["Test"]
        assert check[0] == "CMD"
        deadline = time.monotonic() + seconds
        while (done := self.exec(*check[1:])).returncode:
            assert self.process
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, f"{done.stdout}{done.stderr}\n{self.log.read_text()}"
            time.sleep(0.5)

    def signal(self, name: str) -> int:
        """Send a signal to process 1; return the exit code."""
        subprocess.run(self._crun("kill", self.id, name), check=True, timeout=60)
        assert self.process
        return self.process.wait(60)

    def ended(self) -> tuple[int, str]:
        """Wait for the end; return exit code and output."""
        assert self.process
        return self.process.wait(120), self.log.read_text()

    def remove(self) -> None:
        subprocess.run(self._crun("delete", "--force", self.id), check=False, capture_output=True, timeout=60)
        if self.process and self.process.poll() is None:
            self.process.wait(60)
