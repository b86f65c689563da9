#!/bin/sh
# The recorder beside the others, in one run.  Arguments go to compare.py: --rounds 5, --only cpu,paced
set -eu
cd "$(dirname "$0")/.."
sh tools/setup.sh test
if ! command -v nginx >/dev/null; then
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        echo "installing Debian's nginx-light"
        apt-get update -qq >/dev/null && apt-get install -y -qq nginx-light >/dev/null || echo "nginx cannot be installed"
    else
        echo "nginx is missing (Debian: sudo apt-get install nginx-light); going on without it"
    fi
fi
if [ ! -x benchmarks/.venv-mitmproxy/bin/mitmdump ]; then
    # Its pins conflict with ours: it gets an environment of its own.
    echo "installing mitmproxy into benchmarks/.venv-mitmproxy"
    .venv/bin/python -m venv benchmarks/.venv-mitmproxy
    benchmarks/.venv-mitmproxy/bin/python -m pip install --quiet --disable-pip-version-check mitmproxy ||
        echo "mitmproxy cannot be installed; going on without it"
fi
.venv/bin/python benchmarks/compare.py "$@"
