#!/usr/bin/env bash
# The cluster of deploy/docker-compose.yaml as a whole.
#
#     deploy/compose.sh up       # build the image, start three peers, wait until they serve, add peer2 and peer3; may be repeated, also after
#                                # one of these two has lost its volumes
#     deploy/compose.sh down     # end them and erase their storage
#
# Z4_PREBUILT=target/release takes z4 and z4t from there instead of compiling them in the image: quicker for those who have a toolchain
# and a C library that is not newer than the image's.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. deploy/docker.sh

build() {
    if [ -z "${Z4_PREBUILT:-}" ]; then
        compose build peer1
        return
    fi
    docker build --file deploy/Dockerfile --target runtime --tag z4-runtime .
    context=$(mktemp -d)
    trap 'rm -r "$context"' EXIT
    cp "$Z4_PREBUILT/z4" "$Z4_PREBUILT/z4t" "$context"
    printf 'FROM z4-runtime\nCOPY z4 z4t /usr/local/bin/\n' | docker build --file - --tag z4 "$context"
}

up() {
    build
    compose up --detach --no-build
    local peer
    for peer in peer1 peer2 peer3; do
        until_healthy "$peer"
    done
    for peer in peer2 peer3; do
        echo "adding $peer"
        # One that is a member already stays one; one that has lost its volumes takes its own place.
        compose exec -T peer1 z4t -t peer1:6355 -p "$peer:6356" -id "$peer" add-peer --replace
    done
    compose exec -T peer1 z4t -o table info
}

case "${1:-}" in
    up) up ;;
    down) compose down --volumes --remove-orphans ;;
    *) echo "usage: deploy/compose.sh up|down" >&2; exit 64 ;;
esac
