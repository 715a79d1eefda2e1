#!/bin/sh
# Install the wheel of dist/ with what services need into /opt/stellarrow. Runs in the second stage of the Containerfile.
set -eu
extras=sql,lake,rpc,grpc,postgres,servers
python3 -m venv /opt/stellarrow
wheel=$(ls dist/*manylinux*x86_64.whl dist/*.whl 2> /dev/null | head -n 1)
case $(uname -m) in
    aarch64) wheel=$(ls dist/*manylinux*aarch64.whl dist/*linux_aarch64.whl 2> /dev/null | head -n 1) ;;
esac
set -- --no-cache-dir --disable-pip-version-check --constraint requirements-dev.lock "$wheel[$extras]"
if [ -d dist/packages ]; then
    set -- --no-index --find-links dist/packages "$@"
fi
/opt/stellarrow/bin/pip install "$@"
/opt/stellarrow/bin/pip uninstall --yes --quiet pip setuptools || /opt/stellarrow/bin/pip uninstall --yes --quiet pip
site=$(/opt/stellarrow/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
# What is there for building and testing other programs; and Gandiva, Substrait and ORC of Arrow are not used.
rm -rf "$site/pyarrow/include" "$site/pyarrow/tests" "$site/pyarrow/src" "$site"/pyarrow/*.pyx "$site"/pyarrow/*.pxi "$site"/pyarrow/*.pxd
rm -rf "$site"/grpc/_cython/*.pyx "$site"/*/tests
# Ledgers that come with the package, where a setting can name them.
ln -s "$site/stellarrow/data/ledgers" /opt/stellarrow/ledgers
mkdir -p /var/lib/stellarrow
/opt/stellarrow/bin/stellarrow --version
