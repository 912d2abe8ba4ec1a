#!/usr/bin/env bash
# Runs every fuzz target of interop-tests/fuzz for a while, JOBS (2) at a time, after replaying its corpus.
#   .ci/fuzz.sh [seconds per target [targets...]]      new inputs are kept in target/fuzz/corpus, findings in
#                                                      target/fuzz/artifacts
# No cargo-fuzz and no nightly compiler: these flags are what `cargo fuzz -s none` uses, and stable knows them.
set -euo pipefail
cd "$(dirname "$0")/../interop-tests/fuzz"
seconds=${1:-5}
shift || true
target=${CARGO_TARGET_DIR:-$PWD/../../target}/fuzz
command -v g++ >/dev/null || { echo "fuzz: libFuzzer is C++: install g++" >&2; exit 1; }

export CARGO_TARGET_DIR=$target
export RUSTFLAGS="--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table
    -Ccodegen-units=1"
RUSTFLAGS=$(echo $RUSTFLAGS)
# With a triple the flags stay away from build scripts.
host=$(rustc -vV | sed -n 's/^host: //p')
cargo build --quiet --release --locked --target "$host" --bins

targets=("$@")
[ ${#targets[@]} -gt 0 ] || mapfile -t targets < <(ls fuzz_targets | sed 's/\.rs$//')

run() {
    local name=$1 options=(-timeout=10 -rss_limit_mb=1024 -malloc_limit_mb=256 -print_final_stats=0 -verbosity=0)
    mkdir -p "$target/corpus/$name" "$target/artifacts/$name" "corpus/$name"
    case $name in
        message_* | stream) options+=(-max_len=4096) ;;
        manifest) options+=(-max_len=8192 -dict=yaml.dict) ;;
    esac
    if ! "$target/$host/release/$name" "${options[@]}" -max_total_time="$seconds" \
        -artifact_prefix="$target/artifacts/$name/" "$target/corpus/$name" "corpus/$name" \
        >"$target/$name.log" 2>&1; then
        tail -n 30 "$target/$name.log" >&2
        echo "fuzz: $name failed; run it again with $target/$host/release/$name $target/artifacts/$name/…" >&2
        return 1
    fi
}
export -f run
export target host seconds
printf '%s\n' "${targets[@]}" | xargs -P "${JOBS:-2}" -I{} bash -c 'set -euo pipefail; run {}'
echo "fuzz: ${#targets[@]} targets, $seconds s each, no findings"
