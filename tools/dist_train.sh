#!/usr/bin/env bash
# Train with several processes: tools/dist_train.sh CONFIG NPROC [arguments of tools/train.py]
# NNODES, NODE_RANK, PORT and MASTER_ADDR are taken from the environment.
set -euo pipefail
if [ $# -lt 2 ]; then
    echo "usage: $0 CONFIG NPROC [arguments of tools/train.py]" >&2
    exit 2
fi
CONFIG=$1
NPROC=$2
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$HERE/_launch.sh"
launch "$NPROC" "$HERE/train.py" "$CONFIG" --launcher pytorch "${@:3}"
