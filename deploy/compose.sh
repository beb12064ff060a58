#!/usr/bin/env bash
# The cluster of deploy/docker-compose.yaml as a whole.
#
#     deploy/compose.sh up       # build the image, start three peers, wait until they serve, make them one cluster; may be repeated, also after
#                                # one of the three has lost its volumes
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
    local member
    member=$(a_member)
    for peer in peer1 peer2 peer3; do
        echo "adding $peer"
        # One that is a member already stays one; one that has lost its volumes takes its own place.
        compose exec -T "$member" z4t -p "$peer:6356" -id "$peer" add-peer --replace
    done
    compose exec -T peer1 z4t -o table info
}

# The first peer that belongs to the cluster: peer1, unless it has lost its volumes.
a_member() {
    local peer
    for peer in peer1 peer2 peer3; do
        if compose exec -T "$peer" z4t --json info | grep '"membership":"member"' >/dev/null; then
            echo "$peer"
            return
        fi
    done
    echo "no peer belongs to a cluster: see \`docker-compose logs\`" >&2
    return 1
}

case "${1:-}" in
    up) up ;;
    down) compose down --volumes --remove-orphans ;;
    *) echo "usage: deploy/compose.sh up|down" >&2; exit 64 ;;
esac
