#!/usr/bin/env bash
# Train with several processes: tools/dist_train.sh CONFIG NPROC [arguments of tools/train.py]
# Several nodes, rendezvous and restarts: see _launch.sh. A job that may start again (MAX_RESTARTS, RDZV_ENDPOINT) goes
# on from the newest checkpoint in its work directory, which all nodes have to share.
set -euo pipefail
if [ $# -lt 2 ]; then
    echo "usage: $0 CONFIG NPROC [arguments of tools/train.py]" >&2
    exit 2
fi
CONFIG=$1
NPROC=$2
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$HERE/_launch.sh"
require_files "$CONFIG"
RESUME=()
if [ "${MAX_RESTARTS:-0}" != 0 ] || [ -n "${RDZV_ENDPOINT:-}" ]; then
    [[ " ${*:3} " =~ \ --resume[=\ ]auto\  ]] || [[ ! " ${*:3} " =~ \ --resume(=|\ +[^-\ ]) ]] ||
        fail "--resume with a checkpoint would go back to it at every restart: leave its name out, or MAX_RESTARTS."
    [[ " ${*:3} " == *" --resume"* ]] || RESUME=(--resume)
fi
launch "$NPROC" "$HERE/train.py" "$CONFIG" --launcher pytorch ${RESUME[@]+"${RESUME[@]}"} "${@:3}"
