"""How long `import napari_emseg` takes, beside `import numpy` in the same run."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys

CODE = "import time; t = time.perf_counter(); import {}; print(1000 * (time.perf_counter() - t))"


def import_ms(module: str, repeats: int = 9) -> float:
    runs = [
        float(subprocess.check_output([sys.executable, "-c", CODE.format(module)]))
        for _ in range(repeats)
    ]
    return statistics.median(runs)


def main() -> None:
    ours, numpy = import_ms("napari_emseg"), import_ms("numpy")
    print(
        json.dumps(
            {
                "claim": "import napari_emseg takes at most 60 ms",
                "ms": round(ours, 1),
                "peer": "import numpy",
                "peer_ms": round(numpy, 1),
                "ratio": round(ours / numpy, 3),
            }
        )
    )


if __name__ == "__main__":
    main()
