#!/usr/bin/env bash
# The cross check as CI runs it: missing compilers are installed if they may be.
set -euo pipefail
exec python "$(dirname "$0")/run.py" --install "$@"
