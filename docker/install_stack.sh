#!/bin/sh
# In the Dockerfile's build stages: torch and the MM stack into /opt/venv, as `make env` installs them.
# PINS are requirements `name==version` that replace those of constraints.txt; TORCH_INDEX_URL is searched beside
# pip's own index.
set -eu
for pin in ${PINS:-}; do
    name=${pin%%==*}
    if ! grep -q "^$name==" constraints.txt; then
        echo "error: PINS has $pin, and constraints.txt has no $name to replace." >&2
        exit 2
    fi
    sed -i "s/^$name==.*/$pin/" constraints.txt
done
if [ -n "${TORCH_INDEX_URL:-}" ]; then
    export PIP_EXTRA_INDEX_URL="$TORCH_INDEX_URL"
fi
python3 tools/setup_env.py --stack-only /opt/venv
rm /opt/venv/setup.log  # pip names its indexes in it
