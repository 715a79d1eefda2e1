#!/bin/sh
# Have a wheel in dist/: the one that is there, or a new one. Runs in the first stage of the Containerfile.
set -eu
if ls dist/*.whl > /dev/null 2>&1; then
    exit 0
fi
apt-get update
apt-get install --yes --no-install-recommends gcc libc6-dev python3 python3-venv
python3 -m venv /tmp/build
/tmp/build/bin/pip install --quiet --constraint requirements-dev.lock build
/tmp/build/bin/python -m build --wheel --outdir dist
