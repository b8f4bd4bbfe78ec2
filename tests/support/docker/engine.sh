#!/bin/bash
# A private Docker engine for running the compose files for real, on a Debian machine that has none. For tests only.
#
#   tests/support/docker/engine.sh start DIR     installs, starts, makes the base image; prints what to export
#   tests/support/docker/engine.sh stop DIR      stops it; DIR keeps the images for the next start
#
# The engine listens on a socket in DIR and touches no other one. It accepts GPU reservations without having GPUs, because
# an empty nvidia hook lies on its PATH: the container then only gets to see which GPUs it was given.
set -euo pipefail
readonly BASE=python:3.11-slim-bookworm

start() {
    local dir=$1
    mkdir -p "$dir/bin"
    if ! { command -v dockerd && command -v debootstrap; } >/dev/null; then
        apt-get update -qq
        apt-get install -y -qq --no-install-recommends docker.io debootstrap iptables >"$dir/apt.log" 2>&1
    fi
    printf '#!/bin/sh\nexit 0\n' >"$dir/bin/nvidia-container-runtime-hook"
    chmod +x "$dir/bin/nvidia-container-runtime-hook"

    export DOCKER_HOST="unix://$dir/docker.sock"
    if ! docker version >/dev/null 2>&1; then
        PATH="$dir/bin:$PATH" setsid dockerd --data-root "$dir/data" --exec-root "$dir/exec" -H "$DOCKER_HOST" \
            --pidfile "$dir/docker.pid" >"$dir/docker.log" 2>&1 </dev/null &
        local tries=0
        until docker version >/dev/null 2>&1; do
            tries=$((tries + 1))
            [ "$tries" -lt 300 ] || { tail -5 "$dir/docker.log" >&2; exit 1; }
            sleep 0.1
        done
    fi
    docker image inspect "$BASE" >/dev/null 2>&1 || import_base "$dir"
    echo "export DOCKER_HOST=$DOCKER_HOST"
}

# Debian with Python under the name of the official image, which this machine may be unable to pull. The Python of the
# distribution is the same 3.11; a trusted certificate of the host's own goes along, so that pip and apt work in builds.
import_base() {
    local dir=$1 site
    if [ ! -s "$dir/base.tar" ]; then
        site=$(apt-get indextargets --format '$(SITE) $(RELEASE)' | awk '$2 == "bookworm" { print $1; exit }')
        debootstrap --variant=minbase --include=python3,python3-venv,python3-pip,ca-certificates \
            bookworm "$dir/root" "$site" >"$dir/debootstrap.log"
        cp -L /etc/ssl/certs/ca-certificates.crt "$dir/root/etc/ssl/certs/ca-certificates.crt"
        rm -rf "$dir"/root/usr/lib/python3*/EXTERNALLY-MANAGED "$dir"/root/var/cache/apt/archives/*.deb
        ln -sf python3 "$dir/root/usr/bin/python"
        tar -C "$dir/root" -cf "$dir/base.tar" .
        rm -rf "$dir/root"
    fi
    docker import --change 'ENV PIP_CERT=/etc/ssl/certs/ca-certificates.crt PIP_ROOT_USER_ACTION=ignore' \
        --change 'CMD ["python3"]' "$dir/base.tar" "$BASE" >/dev/null
}

stop() {
    [ -s "$1/docker.pid" ] || return 0
    local pid
    pid=$(cat "$1/docker.pid")
    kill "$pid"
    while kill -0 "$pid" 2>/dev/null; do sleep 0.1; done
    # dockerd leaves the network namespace of its host mounted, and what is mounted cannot be removed.
    awk -v below="$1/" 'index($2, below) == 1 { print $2 }' /proc/mounts | sort -r | xargs -r umount -l
}

[ $# -eq 2 ] || { sed -n '2,6s/^# \{0,1\}//p' "$0" >&2; exit 2; }
case $1 in
    start | stop) "$1" "$(realpath -m "$2")" ;;
    *) echo "unknown command: $1" >&2; exit 2 ;;
esac
