#!/bin/sh
# Starts the peer of a container, and decides whether it is the first one of a new cluster. In the image as `start-peer`; its arguments
# go to z4.
#
#     PEERS   every peer's name and service address, "z4-0=z4-0.z4-peers:6355 z4-1=z4-1.z4-peers:6355 ..."; the first one may start a cluster
#     PEER    this one's name
#
# A first peer that has lost its volumes looks like one of a new cluster. Were it to start one, beside the cluster that is there, clients
# would find two. So it starts one only when every other peer answers, and each belongs to no cluster: that is how it is at a first start,
# where all run at once and wait. As soon as one answers that belongs to a cluster, this one is started without the right to another, and
# waits until it is added. While some do not answer and the rest knows of no cluster, nobody can tell: then it asks again, for ever, and
# says whom it misses.
set -eu

# Seconds between two rounds of questions.
PAUSE=5

say() { echo "start-peer: $*" >&2; }

# As process 1 a shell ignores what it does not trap.
trap 'exit 143' TERM
trap 'exit 130' INT

# Asks each of the other peers once. Afterwards `member` is one that belongs to a cluster, `silent` are those that gave no answer and
# `reason` is what the last of them did instead.
ask_everyone() {
    member='' silent='' reason=''
    for peer in $others; do
        if answer=$(z4t --target "${peer#*=}" --timeout 3s --json info 2>&1); then
            case $answer in
                *'"membership":"not_yet"'*) ;;
                *) member=${peer%%=*}; return ;;
            esac
        else
            silent="$silent ${peer%%=*}" reason=$answer
        fi
    done
}

first=${PEERS:?}
first=${first%% *}
others=${PEERS#"$first"}
if [ "${first%%=*}" != "${PEER:?}" ] || [ -e "${Z4_PEER_DATA_DIR:-z4peer}/identity.toml" ]; then
    exec z4 "$@"
fi

say "$PEER is no member of a cluster and may start one; first it asks${others:- nobody, because it is alone}"
while ask_everyone; [ -z "$member" ] && [ -n "$silent" ]; do
    say "WAITING: no answer from$silent ($reason). They may be a cluster, so $PEER starts none before each of them has said that it" \
        "belongs to none. One that will never come has to be taken out of PEERS"
    sleep "$PAUSE" & wait $!
done
if [ -n "$member" ]; then
    say "$member belongs to a cluster: $PEER starts none, and waits until it is added to that one: z4t add-peer --replace"
else
    say "all others answer, and none belongs to a cluster: $PEER starts one"
    export Z4_PEER_ID="${Z4_PEER_ID:-$PEER}" Z4_BOOTSTRAP_CLUSTER=true
fi
exec z4 "$@"
