"""Lifted multicut and mutex watershed as groupings of the fragments of a boundary map."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np

from napari_emseg.segmentation.affinities import (
    NEAREST,
    AffinityReader,
    Along,
    Map,
    Offset,
    open_affinities,
    view_affinities,
)
from napari_emseg.segmentation.affinity_view import affinities_of
from napari_emseg.segmentation.agglomeration import agglomerate
from napari_emseg.segmentation.contacts import find_contacts
from napari_emseg.segmentation.forest import Forest
from napari_emseg.segmentation.grouping import Grouped, Part
from napari_emseg.segmentation.lifted import lifted_multicut_tables, mutex_watershed_tables
from napari_emseg.segmentation.long_range import choose_long_range, find_lifted_edges
from napari_emseg.segmentation.multicut import choose_effort, repeat_last
from napari_emseg.segmentation.rag import RegionGraph, build_rag
from napari_emseg.segmentation.smoothing import read_section

Report = Callable[[], None]


def lifted_multicut(part: Part, report: Report) -> Grouped:
    """Cut the walls that cost least to cut, and what is seen apart from afar."""
    graph, lifted, forest = _graphs(part, "mean", report)
    solver, thresholds, notes = choose_effort(graph.n_fragments, "kernighan_lin")
    tables = lifted_multicut_tables(graph, lifted, thresholds, solver=solver, report=report)
    return Grouped(forest, repeat_last(tables), notes)


def mutex_watershed(part: Part, report: Report) -> Grouped:
    """Join over the surest contacts first, but never what is seen more surely apart."""
    # Fragments that touch must be seen apart too, or nothing would ever forbid them to join.
    graph, seen, forest = _graphs(part, "max", report, with_touching=True)
    return Grouped(forest, mutex_watershed_tables(graph, seen, report=report))


def _graphs(
    part: Part, along: Along, report: Report, *, with_touching: bool = False
) -> tuple[RegionGraph, RegionGraph, Forest]:
    """Measure contacts and what is seen from afar; agglomerate for the minimum size."""
    affinities = affinities_of(part.source)
    if affinities is None:
        graph = build_rag(part.fragments, partial(read_section, part.source), part.n_fragments)
        channels = _from_boundary(part, along)
    else:
        reader = open_affinities(affinities)
        graph = find_contacts(reader, part.fragments).walls(part.n_fragments)
        is_far = _has_long_range(reader)
        channels = _from_affinities(reader) if is_far else _from_boundary(part, along)
    lifted = find_lifted_edges(
        part.fragments, part.n_fragments, channels, report, with_touching=with_touching
    )
    return graph, lifted, agglomerate(graph, part.sizes_voxels, report)


def _from_boundary(part: Part, along: Along) -> Iterator[tuple[Offset, Map]]:
    is_section = part.fragments.shape[0] == 1
    for offset in choose_long_range(part.source.voxel_size_nm, is_section=is_section):
        computed = view_affinities(part.source, [offset], along=along)
        yield offset, np.stack([computed.read((0, z)) for z in range(computed.shape[1])])


def _from_affinities(reader: AffinityReader) -> Iterator[tuple[Offset, Map]]:
    for channel, offset in enumerate(reader.offsets):
        if offset not in NEAREST:
            sections = [reader.read([channel], z)[0] for z in range(reader.shape[0])]
            yield offset, np.stack(sections)


def _has_long_range(reader: AffinityReader) -> bool:
    n_z = reader.shape[0]
    return any(abs(o[0]) < n_z for o in reader.offsets if o not in NEAREST)
