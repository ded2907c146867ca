#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# demo.sh: what `make demo` shows: bench/demo.yaml is brought up, its figures come out in a table.
set -eu
build=${BUILD:-build}
config=bench/demo.yaml
if [ "$build" != build ]; then # the images lie elsewhere
	config=$build/bench/demo.yaml
	sed "s|image: \.\./build/|image: $(cd "$build" && pwd)/|" bench/demo.yaml >"$config"
fi
instances=app-vm
if ! [ -r /dev/kvm ] || ! [ -w /dev/kvm ]; then
	instances=process # `isthmus up` says so
fi
ISTHMUS_RUNTIME_DIR=$(mktemp -d)
export ISTHMUS_RUNTIME_DIR
trap 'rm -rf "$ISTHMUS_RUNTIME_DIR"' EXIT
trap 'exit 130' INT TERM

echo "\$ $build/isthmus up $config"
{ timeout 60 "$build/isthmus" up "$config" || echo "isthmus up: exit status $?"; } |
	python3 bench/run.py --report "$instances"
