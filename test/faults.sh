#!/usr/bin/env bash
# Copyright The kubectl-encryption Authors.
# SPDX-License-Identifier: Apache-2.0

# Injects faults and prints what came of it: `test/faults.sh short` or `test/faults.sh full`. FAULTS is the folder of the
# report. What it prints besides is for test/tally.
set -uo pipefail
cd "$(dirname "$0")/.."

# Most of the time of the short set goes by in waiting, so that its two packages run at the same time.
report=() timeout=15m packages=2
if [ "${1:-short}" = full ]; then
  export FAULTS_FULL=1
  report=(--full) timeout=3h packages=1
fi
rm -rf "$FAULTS"
status=0
go test -json -tags integration,e2e,faults -p "$packages" -count=1 -timeout "$timeout" -run '^TestFaults$' \
  ./test/integration ./test/e2e || status=1
go run ./test/faults/report --dir "$FAULTS" "${report[@]}" || status=1
exit "$status"
