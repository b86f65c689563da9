#!/bin/sh
# What the tests need besides Python: Node.js with npm, the packages of tests/node, Chromium, xmllint.
# Quick when all is there.  Nothing here fails the tests: what cannot be had is named in one line, and the tests
# that need it skip with a word.
cd "$(dirname "$0")" || exit 0

missing=
command -v node >/dev/null 2>&1 && command -v npm >/dev/null 2>&1 || missing="nodejs npm"
command -v chromium >/dev/null 2>&1 || command -v chromium-browser >/dev/null 2>&1 ||
    command -v google-chrome >/dev/null 2>&1 || missing="$missing chromium"
command -v xmllint >/dev/null 2>&1 || missing="$missing libxml2-utils"
# A try that failed is not repeated within the hour: each costs the time that apt waits for a network.
tried=../.venv/.apt-tried
[ -n "$(find $tried -mmin -60 2>/dev/null)" ] && recently=yes || recently=
if [ -n "$missing" ] && [ -z "$recently" ] && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    echo installing $missing
    export DEBIAN_FRONTEND=noninteractive
    quick="-o Acquire::http::Timeout=20 -o Acquire::https::Timeout=20 -o Acquire::Retries=1"
    { apt-get $quick update -qq &&
        timeout 900 apt-get $quick install -y -qq --no-install-recommends $missing; } >/dev/null 2>&1 ||
        { mkdir -p ../.venv && touch $tried; }
fi

skipped=
if command -v npm >/dev/null 2>&1 && command -v node >/dev/null 2>&1; then
    stamp=node/node_modules/.installed
    if [ ! -e $stamp ] || [ node/package-lock.json -nt $stamp ]; then
        if (cd node && timeout 300 npm ci --no-audit --no-fund --fetch-retries=1 >/dev/null 2>&1); then
            touch $stamp
        else
            skipped="the npm packages (npm ci did not work)"
        fi
    fi
else
    skipped="Node.js and npm"
fi
command -v chromium >/dev/null 2>&1 || command -v chromium-browser >/dev/null 2>&1 ||
    command -v google-chrome >/dev/null 2>&1 || skipped="${skipped:+$skipped, }Chromium"
command -v xmllint >/dev/null 2>&1 || skipped="${skipped:+$skipped, }xmllint"
[ -z "$skipped" ] || echo "tests/setup.sh: without $skipped: the tests that need it are skipped"
exit 0
