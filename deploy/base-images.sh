#!/usr/bin/env bash
# Makes the two images that deploy/Dockerfile starts from, for a machine that reaches Debian's packages but no image registry.
# Elsewhere Docker pulls them, and this is not needed.
#
#     deploy/base-images.sh            # as root; needs docker, debootstrap, and the Rust toolchain of rust-toolchain.toml
#
# debian:bookworm-slim      a minimal Debian
# rust:1.95-slim-bookworm   the same with gcc and this machine's Rust toolchain, where the official image has its own
#
# Images of these names that are there already are left alone. Both get this machine's certificate authorities: where there is no
# registry, there is often a proxy whose certificates only the machine knows.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

DEBIAN=debian:bookworm-slim
RUST=rust:1.95-slim-bookworm
AUTHORITIES=/etc/ssl/certs/ca-certificates.crt

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

have() { docker image inspect "$1" >/dev/null 2>&1; }

need() {
    local tool
    for tool in "$@"; do
        command -v "$tool" >/dev/null || { echo "base-images: $tool is missing (apt-get install $tool)" >&2; exit 69; }
    done
}

make_debian() {
    need debootstrap
    debootstrap --variant=minbase bookworm "$work/root"
    mkdir -p "$work/root/etc/ssl/certs"
    [ ! -f "$AUTHORITIES" ] || cp "$AUTHORITIES" "$work/root/$AUTHORITIES"
    rm -rf "$work/root"/var/cache/apt/archives/*.deb "$work/root"/var/lib/apt/lists/* "$work/root"/usr/share/{doc,man,locale}/*
    tar --directory "$work/root" --create . | docker import --change 'CMD ["bash"]' - "$DEBIAN" >/dev/null
}

make_rust() {
    local toolchain
    toolchain=$(rustc --print sysroot)
    mkdir "$work/rust"
    # Without the documentation and the sources of the standard library.
    tar --directory "$toolchain" --exclude=./share --exclude=./lib/rustlib/src --create . | tar --directory "$work/rust" --extract
    docker build --tag "$RUST" --file - "$work/rust" <<DOCKERFILE
FROM $DEBIAN
RUN apt-get update \
 && apt-get install --yes --no-install-recommends gcc libc6-dev \
 && rm -rf /var/lib/apt/lists/*
ENV CARGO_HOME=/usr/local/cargo
COPY . /usr/local
DOCKERFILE
}

command -v docker >/dev/null || { echo "base-images: docker is missing (apt-get install docker.io)" >&2; exit 69; }
docker info >/dev/null || { echo "base-images: the Docker daemon does not answer; start it (dockerd)" >&2; exit 69; }
have "$DEBIAN" || make_debian
have "$RUST" || make_rust
docker image ls --format '{{.Repository}}:{{.Tag}} {{.Size}}' | grep -E "^($DEBIAN|$RUST) "
