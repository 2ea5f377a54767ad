#!/bin/sh
# In the Dockerfile's build stages: what pyproject.toml names for sssd, and pytest, without sssd, into /opt/venv.
set -eu
/opt/venv/bin/python - >requirements.txt <<'PY'
import tomllib

with open('pyproject.toml', 'rb') as file:
    project = tomllib.load(file)['project']
pytest = [line for line in project['optional-dependencies']['dev'] if line.startswith('pytest')]
print(*project['dependencies'], *pytest, sep='\n')
PY
/opt/venv/bin/pip install --quiet -c constraints.txt -r requirements.txt
/opt/venv/bin/pip check
