#!/usr/bin/env bash
# What action.yml runs: `install`, then `verify`.  Everything comes by the environment; lists are a word a line.
set -euo pipefail
home="${RUNNER_TEMP:?}/goldentape"

words() {
    local line
    while IFS= read -r line; do
        line="${line#"${line%%[![:space:]]*}"}"
        line="${line%"${line##*[![:space:]]}"}"
        [ -z "$line" ] || printf '%s\n' "$line"
    done <<<"$1"
}

install() {
    local python="${GOLDENTAPE_PYTHON:-python3}"
    if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
        echo "::error::goldentape needs Python 3.11 or newer: add actions/setup-python before it"
        exit 3
    fi
    "$python" -m venv "$home/venv"
    "$home/venv/bin/python" -m pip install --quiet --disable-pip-version-check "${GITHUB_ACTION_PATH:?}"
    "$home/venv/bin/goldentape" --version
}

verify() {
    local reports="$home/reports" arguments=() tapes=() word code=0 end="end-$RANDOM$RANDOM$RANDOM"
    mkdir -p "$reports"
    while IFS= read -r word; do tapes+=("$word"); done < <(words "$GOLDENTAPE_TAPES")
    while IFS= read -r word; do arguments+=(--contract "$word"); done < <(words "$GOLDENTAPE_CONTRACTS")
    while IFS= read -r word; do arguments+=(--set "$word"); done < <(words "${GOLDENTAPE_SET:-}")
    while IFS= read -r word; do arguments+=("$word"); done < <(words "${GOLDENTAPE_ARGUMENTS:-}")
    arguments+=(--report "junit=$reports/junit.xml" --report "sarif=$reports/goldentape.sarif")
    arguments+=(--report "markdown=$reports/verdict.md" --report "json=$reports/verdict.jsonl")
    arguments+=(--report "html=$reports/report.html")
    # Annotations and the step summary are on by themselves where GitHub runs it.
    "$home/venv/bin/goldentape" verify "${arguments[@]}" -- "${tapes[@]}" || code=$?
    {
        echo "exit-code=$code"
        echo "reports=$reports"
        echo "tapes<<$end"
        printf '%s\n' "${tapes[@]}"
        echo "$end"
    } >>"${GITHUB_OUTPUT:?}"
    if [ "$code" = 4 ] && [ "${GOLDENTAPE_ALLOW_INCONCLUSIVE:-false}" = true ]; then
        echo "::warning::goldentape: nothing failed, but not everything could be judged"
        exit 0
    fi
    exit "$code"
}

"$1"
