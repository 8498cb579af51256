"""``python -m napari_emseg.cli``."""

from __future__ import annotations

import sys

from napari_emseg.cli import main

if __name__ == "__main__":
    sys.exit(main())
