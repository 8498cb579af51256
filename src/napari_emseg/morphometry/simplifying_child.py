"""The process that simplifies a surface: read from stdin, written to stdout.

Run as a script and not as part of the package, whose imports would take longer than most
surfaces do.
"""

from __future__ import annotations

import sys
from typing import BinaryIO

import numpy as np


def serve(source: BinaryIO, target: BinaryIO) -> None:
    """Simplify one surface.

    Parameters
    ----------
    source : binary stream
        Three int64, the numbers of vertices, of faces and of faces at most; then the
        vertices (float32) and the faces (int32).
    target : binary stream
        Takes two int64, the numbers of vertices and faces, and these.
    """
    import fast_simplification

    n_vertices, n_faces, most_faces = np.frombuffer(source.read(24), np.int64).tolist()
    vertices = np.frombuffer(source.read(12 * n_vertices), np.float32).reshape(-1, 3)
    faces = np.frombuffer(source.read(12 * n_faces), np.int32).reshape(-1, 3)
    vertices, faces = fast_simplification.simplify(
        vertices.copy(), faces.copy(), target_count=most_faces
    )
    target.write(np.array([len(vertices), len(faces)], np.int64).tobytes())
    target.write(np.ascontiguousarray(vertices, np.float32).tobytes())
    target.write(np.ascontiguousarray(faces, np.int32).tobytes())


if __name__ == "__main__":
    serve(sys.stdin.buffer, sys.stdout.buffer)
