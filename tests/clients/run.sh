#!/bin/sh
# Runs generated Python clients against a real peer: the proof that clients which are not ours understand z4.
#
# The virtual environment is kept between runs in $Z4_CLIENTS_CACHE (default: ${XDG_CACHE_HOME:-~/.cache}/z4-clients); everything else is
# temporary. $Z4_BIN names the peer's binary; without it the newest of target/release/z4 and target/debug/z4 is taken.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
cache=${Z4_CLIENTS_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/z4-clients}
target=${CARGO_TARGET_DIR:-$root/target}

bin=${Z4_BIN:-$(ls -t "$target/release/z4" "$target/debug/z4" 2>/dev/null | head -n 1)}
if [ -z "$bin" ] || [ ! -x "$bin" ]; then
    echo "no z4 binary: run cargo build, or set Z4_BIN" >&2
    exit 1
fi
bin=$(realpath "$bin")

# One environment per set of requirements: a changed file gets a new one.
venv=$cache/$(cksum <"$here/requirements.txt" | tr ' ' '-')
if [ ! -e "$venv/complete" ]; then
    rm -rf "$venv"
    python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check --requirement "$here/requirements.txt"
    touch "$venv/complete"
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/stubs"
"$venv/bin/python" -m grpc_tools.protoc -I "$root/proto/proto" \
    --python_out="$work/stubs" --grpc_python_out="$work/stubs" z4.proto
cd "$work"
Z4_CLIENTS_BIN=$bin PYTHONDONTWRITEBYTECODE=1 PYTHONPATH="$work/stubs:$here" "$venv/bin/python" -m unittest -v "$@" clients_test
