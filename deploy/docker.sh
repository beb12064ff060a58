# For scripts at the root of the tree that use Docker: finds it, or says what is missing; then `compose` is Compose with our file.

command -v docker >/dev/null || { echo "docker is missing (Debian: apt-get install docker.io docker-compose)" >&2; exit 69; }
docker info >/dev/null || { echo "the Docker daemon does not answer: start it, or ask for the right to use it" >&2; exit 69; }

if docker compose version >/dev/null 2>&1; then
    compose() { docker compose --file deploy/docker-compose.yaml "$@"; }
elif command -v docker-compose >/dev/null; then
    compose() { docker-compose --file deploy/docker-compose.yaml "$@"; }
else
    echo "neither \`docker compose\` nor docker-compose is there (Debian: apt-get install docker-compose)" >&2
    exit 69
fi

# Waits until Docker calls a peer healthy, and shows its log when that takes too long. Seconds: 120.
until_healthy() {
    local peer=$1 container state _
    container=$(compose ps -q "$peer")
    for _ in {1..240}; do
        state=$(docker inspect --format '{{.State.Health.Status}}' "$container")
        [ "$state" != healthy ] || return 0
        sleep 0.5
    done
    echo "$peer is $state after two minutes; its log:" >&2
    compose logs --tail=50 "$peer" >&2
    return 1
}
