#!/bin/sh
# Build sdist and wheel, install the wheel where no source is near, and use it.
set -eu
cd "$(dirname "$0")/.."
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
.venv/bin/python -m build --outdir "$out" . >"$out/log" 2>&1 || { tail -20 "$out/log"; exit 1; }
.venv/bin/python -m venv "$out/venv"
"$out/venv/bin/pip" install --quiet --disable-pip-version-check "$out"/*.whl
cd "$out"
venv/bin/goldentape --version
venv/bin/python -m goldentape verify --help >/dev/null
venv/bin/python - <<'PY'
from importlib.resources import files

for name in ("tape.sql", "contract.schema.json", "contracts/golden-path.yaml"):
    assert files("goldentape.schemas").joinpath(name).is_file(), name
from verifier.page.shell import SCRIPTS

for name in ("page.html", "page.css", *SCRIPTS):
    assert files("verifier.page").joinpath(name).is_file(), name
import goldentape.fixtures.demo, recorder, verifier  # noqa: E401, F401
PY
echo "wheel: $(ls "$out"/*.whl | xargs -n1 basename) installs and runs"
