#!/usr/bin/env bash
# Run every benchmark; each prints JSON lines. Windows are opened on a virtual screen if there is none.
set -u
python="${1:-python}"
for script in benchmarks/*.py; do
  run=("$python" "$script")
  if grep -q napari_emseg.gui "$script" && [ -z "${DISPLAY:-}${WAYLAND_DISPLAY:-}" ]; then
    run=(xvfb-run -a -s "-screen 0 1600x1000x24" "${run[@]}")
  fi
  echo "# $script" >&2
  "${run[@]}" || echo "{\"script\": \"$script\", \"failed\": true}"
done
