#!/bin/sh
# Install the wheel of dist/ with what services need into /opt/stellarrow. Runs in the second stage of the Containerfile.
set -eu
extras=sql,lake,rpc,grpc,postgres,servers,analytics,otel
python3 -m venv /opt/stellarrow
wheel=$(ls dist/*manylinux*x86_64.whl dist/*.whl 2> /dev/null | head -n 1)
case $(uname -m) in
    aarch64) wheel=$(ls dist/*manylinux*aarch64.whl dist/*linux_aarch64.whl 2> /dev/null | head -n 1) ;;
esac
set -- --no-compile --no-cache-dir --disable-pip-version-check --constraint requirements-dev.lock "$wheel[$extras]"
if [ -d dist/packages ]; then
    set -- --no-index --find-links dist/packages "$@"
fi
/opt/stellarrow/bin/pip install "$@"
/opt/stellarrow/bin/pip uninstall --yes --quiet pip setuptools || /opt/stellarrow/bin/pip uninstall --yes --quiet pip
site=$(/opt/stellarrow/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
# What is there for building and testing other programs, and the clouds' and HDFS' clients of Arrow, which nothing here
# loads: stores are spoken to by obstore.
rm -rf "$site/pyarrow/include" "$site/pyarrow/tests" "$site/pyarrow/src" "$site"/pyarrow/*.pyx "$site"/pyarrow/*.pxi \
    "$site"/pyarrow/*.pxd "$site"/pyarrow/libarrow_s3.* "$site"/pyarrow/_s3fs.* "$site"/pyarrow/_gcsfs.* "$site"/pyarrow/_hdfs.* \
    "$site"/pyarrow/_azurefs.* "$site"/pyarrow/_orc.* "$site"/pyarrow/_pyarrow_cpp_tests.*
# What colours code, which no command shows.
rm -rf "$site/pygments" "$site"/pygments-*
find "$site" -not -path '*/stellarrow/*' \( -name '*.pyi' -o -name '*.h' -o -name '*.hpp' -o -name '*.c' -o -name '*.cpp' -o -name '*.a' \) -delete
find "$site" -type d \( -name tests -o -name test \) -not -path '*/stellarrow/*' -prune -exec rm -rf {} +
if ! command -v strip > /dev/null && [ ! -d dist/packages ] && command -v apt-get > /dev/null; then
    apt-get update && apt-get install --yes --no-install-recommends binutils
fi
if command -v strip > /dev/null; then
    find "$site" -name '*.so*' -type f -exec strip --strip-unneeded {} + || true  # a library that cannot be is left as it is
fi
# A wheel has no links, so some libraries are in it three times.
for whole in "$site"/pyarrow/lib*.so.*.*.*; do
    [ -e "$whole" ] || continue
    short=${whole%.*.*}
    ln -sf "$(basename "$whole")" "$short"
    ln -sf "$(basename "$whole")" "${short%.*}"
done
# Ledgers that come with the package, where a setting can name them.
ln -s "$site/stellarrow/data/ledgers" /opt/stellarrow/ledgers
PYTHONDONTWRITEBYTECODE=1 /opt/stellarrow/bin/stellarrow --version
mkdir -p /var/lib/stellarrow
python3 assemble.py /image
