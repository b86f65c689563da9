#!/bin/sh
# Make .venv with goldentape and the named extra (demo or test) in it.  Quick when nothing changed.
set -eu
cd "$(dirname "$0")/.."
extra=${1:-demo}
stamp=.venv/.has-$extra
if [ -e "$stamp" ] && [ "$stamp" -nt pyproject.toml ]; then exit 0; fi

python=
for candidate in "${PYTHON:-}" python3 python3.13 python3.12 python3.11; do
    [ -n "$candidate" ] || continue
    if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then python=$candidate; break; fi
done
if [ -z "$python" ]; then
    echo "goldentape needs Python 3.11 or newer (python3 is $(python3 --version 2>&1)); set PYTHON to one" >&2
    exit 3
fi

if [ ! -x .venv/bin/python ] || ! .venv/bin/python -m pip --version >/dev/null 2>&1; then
    rm -rf .venv
    if ! "$python" -m venv .venv >/dev/null 2>&1; then
        # Debian keeps ensurepip in a package of its own.
        rm -rf .venv
        if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
            echo "installing Debian's python3-venv"
            apt-get update -qq >/dev/null && apt-get install -y -qq python3-venv >/dev/null
            "$python" -m venv .venv
        else
            echo "python3 -m venv does not work here: install it (Debian: sudo apt-get install python3-venv)" >&2
            exit 3
        fi
    fi
fi
echo "installing goldentape[$extra] into .venv"
.venv/bin/python -m pip install --quiet --disable-pip-version-check --editable ".[$extra]"
touch "$stamp"
