#!/usr/bin/env bash
# Installs what the lab and the end-to-end tests need from Debian, and starts none of it: BIRD and GoBGP run
# in namespaces, under the tests' control. Quick and silent when everything is there. Further program:package
# pairs may be given as arguments.
set -euo pipefail

# program:package
needed=(ip:iproute2 ping:iputils-ping sysctl:procps setpriv:util-linux tcpdump:tcpdump tshark:tshark
    bird:bird2 birdc:bird2 gobgpd:gobgpd gobgp:gobgpd vtysh:frr jq:jq g++:g++ "$@")

PATH=$PATH:/usr/sbin:/sbin
missing=()
for pair in "${needed[@]}"; do
    command -v "${pair%%:*}" >/dev/null || missing+=("${pair##*:}")
done
[ ${#missing[@]} -gt 0 ] || exit 0
mapfile -t missing < <(printf '%s\n' "${missing[@]}" | sort -u)
echo "installing: ${missing[*]}"

run=()
if [ "$(id -u)" -ne 0 ]; then
    if ! sudo -n true 2>/dev/null; then
        echo "not root, and no sudo without a password: install ${missing[*]} yourself; tests that need them are skipped" >&2
        # CI must not pass for want of a package.
        [ -z "${CI:-}" ]
        exit
    fi
    run=(sudo -n)
fi
export DEBIAN_FRONTEND=noninteractive

# Nothing that is installed here may start a service: 101 is "forbidden by policy" (invoke-rc.d(8)).
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' | "${run[@]}" tee "$policy" >/dev/null
    "${run[@]}" chmod 755 "$policy"
    trap '"${run[@]}" rm -f "$policy"' EXIT
fi

apt=("${run[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq -o Dpkg::Use-Pty=0)
# The lists may be fresh enough; asking the mirrors costs more than trying.
"${apt[@]}" install -y --no-install-recommends "${missing[@]}" >/dev/null 2>&1 || {
    "${apt[@]}" update
    "${apt[@]}" install -y --no-install-recommends "${missing[@]}" >/dev/null
}

# Nor at the next boot: port 179 belongs to whoever the machine's owner says, not to these tests.
if [ -d /run/systemd/system ]; then
    for service in bird gobgpd openbgpd; do
        for package in "${missing[@]}"; do
            case $package in "$service" | "${service}2") "${run[@]}" systemctl disable --quiet "$service" || true ;; esac
        done
    done
fi
