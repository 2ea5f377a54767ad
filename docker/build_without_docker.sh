#!/usr/bin/env bash
# Builds the `cpu` target of docker/Dockerfile without a Docker engine and runs the quick demo in it.
#
#   sudo docker/build_without_docker.sh [LOG]       (default: docker/last_build.log)
#
# It needs buildah and debootstrap (Debian and Ubuntu: apt-get install buildah debootstrap) and root, but neither a
# registry nor namespaces: a Debian made by debootstrap stands in for the public base image, and all runs in a chroot.
# From the environment:
#   DEBIAN_MIRROR      where debootstrap finds Debian; its own default if unset
#   PIP_INDEX_URL, PIP_EXTRA_INDEX_URL, PIP_TRUSTED_HOST, PIP_CERT, PIP_FIND_LINKS (folders)
#                      as pip knows them; used while building, neither in the image nor in the log
#   TORCH_INDEX_URL    index of torch's wheels in place of the Dockerfile's; empty for none beside pip's
#   MAX_JOBS           compilers at a time
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

LOG=${1:-docker/last_build.log}
SUITE=bookworm
BASE=localhost/sssd-base:$SUITE
IMAGE=localhost/sssd:cpu
export BUILDAH_ISOLATION=chroot

die() { echo "error: $*" >&2; exit 2; }
say() { echo "== $*"; }

[ "$(id -u)" = 0 ] || die "this needs root, for debootstrap and chroot: call it with sudo."
for tool in buildah debootstrap; do
    command -v "$tool" >/dev/null || die "$tool was not found: install it (Debian and Ubuntu: apt-get install $tool)."
done
SCRATCH=$(mktemp -d)
CONTAINER=

# Whatever happened: clean up, and write the log.
finish() {
    local status=$?
    say "exit status $status"
    exec 1>&3 2>&3  # tee sees the end
    wait
    [ -z "$CONTAINER" ] || buildah rm "$CONTAINER" >/dev/null
    trimmed <"$SCRATCH/output" | anonymous >"$LOG"
    rm -rf "$SCRATCH"
    say "log: $LOG"
    exit "$status"
}

# The commit that is built; what is not in it is mentioned.
commit() {
    local hash
    hash=$(git rev-parse HEAD 2>/dev/null) || { echo unknown; return; }
    [ -z "$(git status --porcelain)" ] || hash+=" (with changes)"
    echo "$hash"
}

# The log: of the build its steps, of what was run in the image every line.
trimmed() {
    sed -e $'s/\x1b\\[[0-9;]*m//g' -e 's/.*\r//' | awk '
        /^== image: / { all = 1 }
        sub(/Using cache .*/, "Using cache") { print; next }
        all || /^(== |STEP |\[[0-9\/]+\] STEP |environment:|E: |[Ee]rror|No broken)/ || /^  .*: (done|FAILED)/'
}

# Nothing of this machine goes into the log.
anonymous() {
    sed -E -e "s#$SCRATCH#<scratch>#g" -e "s#$PWD#.#g" -e "s#$(hostname)#<host>#g" -e "s#$HOME/#~/#g" \
        -e 's#(https?|file)://[^ "'\'']+#<url>#g'
}

make_base() {
    say "base image: $SUITE by debootstrap, for debian:$SUITE-slim"
    if buildah images "$BASE" >/dev/null 2>&1; then
        say "base image: is there from an earlier call"
        return
    fi
    local root
    CONTAINER=$(buildah from scratch)
    root=$(buildah mount "$CONTAINER")
    debootstrap --variant=minbase "$SUITE" "$root" ${DEBIAN_MIRROR:+"$DEBIAN_MIRROR"}
    rm -rf "$root"/var/cache/apt/archives/*.deb "$root"/var/lib/apt/lists/*
    buildah umount "$CONTAINER"
    buildah commit --quiet --format docker --rm "$CONTAINER" "$BASE"
    CONTAINER=
}

# pip.conf out of pip's environment variables; wheels of local folders are mounted at /mnt while building.
pip_options() {
    local folder
    mkdir "$SCRATCH/wheels"
    for folder in ${PIP_FIND_LINKS:-}; do
        [ -d "$folder" ] || die "PIP_FIND_LINKS names $folder, which is no folder: name folders of wheels, or unset it."
        cp "$folder"/*.whl "$SCRATCH/wheels"
    done
    say "wheels at hand: $(ls -x -w 0 "$SCRATCH/wheels")"
    OPTIONS=(--secret "id=pip,src=$SCRATCH/pip.conf" --volume "$SCRATCH/wheels:/mnt:ro")
    {
        echo '[global]'
        echo 'find-links = /mnt'
        [ -z "${PIP_INDEX_URL:-}" ] || echo "index-url = $PIP_INDEX_URL"
        [ -z "${PIP_EXTRA_INDEX_URL:-}" ] || echo "extra-index-url = $PIP_EXTRA_INDEX_URL"
        [ -z "${PIP_TRUSTED_HOST:-}" ] || echo "trusted-host = $PIP_TRUSTED_HOST"
        [ -z "${PIP_CERT:-}" ] || echo 'cert = /run/secrets/pip_ca'
    } >"$SCRATCH/pip.conf"
    [ -z "${PIP_CERT:-}" ] || OPTIONS+=(--secret "id=pip_ca,src=$PIP_CERT")
    [ -z "${TORCH_INDEX_URL+set}" ] || OPTIONS+=(--build-arg "TORCH_INDEX_URL=$TORCH_INDEX_URL")
    [ -z "${MAX_JOBS:-}" ] || OPTIONS+=(--build-arg "MAX_JOBS=$MAX_JOBS")
}

build_image() {
    say "build: target cpu of docker/Dockerfile"
    pip_options
    buildah build --layers --format docker --pull-never --file docker/Dockerfile --target cpu --tag "$IMAGE" \
        --build-arg "CPU_IMAGE=$BASE" --build-arg "SSSD_COMMIT=$COMMIT" "${OPTIONS[@]}" .
    [ "$(commit)" = "$COMMIT" ] || die "the checkout changed while it was built: call this again, layers are kept."
}

inside() { buildah run --env OMP_NUM_THREADS=1 "${MOUNTS[@]}" "$CONTAINER" -- "$@"; }

# What an image must not hold; every line printed is a complaint.
leftovers() {
    local root=$1 value
    for name in c++ cc g++ gcc make; do
        [ ! -e "$root/usr/bin/$name" ] || echo "a compiler: $name"
    done
    for path in root/.cache opt/venv/setup.log etc/pip.conf build 'mnt/*' 'run/secrets/*' \
        'var/lib/apt/lists/*_Packages'; do
        [ -z "$(compgen -G "$root/$path")" ] || echo "left behind: $path"
    done
    for value in "${PIP_INDEX_URL:-}" "${PIP_EXTRA_INDEX_URL:-}" "${PIP_TRUSTED_HOST:-}" ${PIP_FIND_LINKS:-}; do
        [ -n "$value" ] || continue
        ! grep -rqsF --include='*.json' --include='*.txt' --include='*.conf' --include=RECORD --include=METADATA \
            -- "$value" "$root/opt/venv" "$root/workspace" "$root/etc" || echo "the image names an index"
        ! buildah inspect "$IMAGE" | grep -qF -- "$value" || echo "the image's history names an index"
    done
}

try_image() {
    local found
    install -d "$SCRATCH/work_dirs"
    chown 1000:1000 "$SCRATCH" "$SCRATCH/work_dirs"
    MOUNTS=(--volume "$SCRATCH/work_dirs:/workspace/work_dirs")
    CONTAINER=$(buildah from --pull-never "$IMAGE")
    say "image: $(buildah images --format '{{.Size}}' "$IMAGE")"
    say "user and health check"
    inside id
    inside python docker/healthcheck.py
    found=$(leftovers "$(buildah mount "$CONTAINER")")
    [ -z "$found" ] || { echo "error: $found" >&2; return 1; }
    say "no compiler, cache, log or index is left in the image"
    say "tests of the losses"
    inside python -m pytest tests/losses -q -p no:cacheprovider
    say "demo: python -m sssd demo --quick"
    SECONDS=0
    inside python -m sssd demo --quick
    say "demo: done in $SECONDS s; in the mounted work_dirs:"
    find "$SCRATCH/work_dirs" -maxdepth 2 -type f -printf '%P, %s bytes, user %U\n' | sort
}

exec 3>&1
exec > >(tee "$SCRATCH/output") 2>&1
trap finish EXIT
say "$(buildah --version), $(nproc) CPU cores, $(date -u +%F)"
COMMIT=$(commit)
say "commit $COMMIT"
make_base
build_image
try_image
