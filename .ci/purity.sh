#!/usr/bin/env bash
# The cores know no runtime, no sockets and no netlink: proven by their dependency trees, then by building them.
set -euo pipefail
cd "$(dirname "$0")/.."

forbidden='tokio|mio|socket2|rtnetlink|netlink-sys|netlink-proto|etcd-client|notify|hyper|axum'
for crate in bgp fib config ipam felix; do
    features=()
    case $crate in bgp | fib | config) features=(--no-default-features) ;; esac
    found=$(cargo tree --locked -p "$crate" "${features[@]}" -e normal,build --prefix none |
        grep -E "^($forbidden) v" | sort -u || true)
    if [ -n "$found" ]; then
        echo "$crate: its core depends on" >&2
        echo "$found" >&2
        exit 1
    fi
    cargo check --quiet --locked -p "$crate" "${features[@]}"
done

# The crate graph of ARCHITECTURE.md: anything not listed is forbidden.
edges() {
    cargo tree --locked -p "$1" -e normal --depth 1 --prefix none | tail -n +2 |
        { grep -oE '^(bgp|config|fib|felix|ipam|manx|interop-tests) ' || true; } | tr -d ' ' | sort | tr '\n' ' '
}
expect() {
    local actual
    actual=$(edges "$1")
    [ "$actual" = "$2" ] || { echo "$1 may depend on '$2', it depends on '$actual'" >&2; exit 1; }
}
expect bgp ''
expect config ''
expect ipam 'config '
expect fib ''
expect felix 'config fib '

# One meeting place: domains are translated into each other in src/node; the three files of src/daemon that
# start the shells, carry effects and ask for snapshots hold handles of several.
for file in $(git ls-files 'src/*.rs' | grep -v '^src/node/'); do
    case $file in src/daemon/mod.rs | src/daemon/effects.rs | src/daemon/agent.rs) continue ;; esac
    domains=$({ grep -oE '\b(bgp|fib|ipam|felix)::' "$file" || true; } | sort -u | wc -l)
    [ "$domains" -le 1 ] || { echo "$file names several domains; that belongs in src/node" >&2; exit 1; }
done
echo "purity: cores build without a runtime, the crate graph is as drawn"
