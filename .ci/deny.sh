#!/usr/bin/env bash
# Licences, bans and sources of every dependency, where cargo-deny is installed or can be.
set -euo pipefail
cd "$(dirname "$0")/.."
if ! cargo deny --version >/dev/null 2>&1; then
    echo "deny: skipped, cargo-deny is not installed (cargo install cargo-deny --locked)"
    exit 0
fi
exec cargo deny --offline check licenses bans sources
