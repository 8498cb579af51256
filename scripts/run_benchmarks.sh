#!/usr/bin/env bash
# Run every benchmark; each prints JSON lines. Windows are opened on a virtual screen if there is none.
set -u
python="${1:-python}"
for script in benchmarks/*.py; do
  run=("$python" "$script")
  case "$(basename "$script")" in
    _*) continue ;;  # taken from others
    proofreading_prior.py) run+=(gala_fib) ;;
    method_table.py)
      if [ -z "${EMSEG_DATA:-}" ]; then
        echo "{\"script\": \"$script\", \"skipped\": \"set EMSEG_DATA to the folder of recorded data\"}"
        continue
      fi
      run+=(--data "$EMSEG_DATA") ;;
    postprocessing.py)
      echo "{\"script\": \"$script\", \"skipped\": \"needs a map and its ground truth\"}"
      continue ;;
  esac
  if grep -q napari_emseg.gui "$script" && [ -z "${DISPLAY:-}${WAYLAND_DISPLAY:-}" ]; then
    run=(xvfb-run -a -s "-screen 0 1600x1000x24" "${run[@]}")
  fi
  echo "# $script" >&2
  "${run[@]}" || echo "{\"script\": \"$script\", \"failed\": true}"
done
