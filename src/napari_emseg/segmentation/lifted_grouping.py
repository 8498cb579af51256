"""Lifted multicut and mutex watershed as groupings of the fragments of a boundary map."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from napari_emseg.segmentation.affinities import (
    NEAREST,
    AffinityReader,
    Along,
    Map,
    Offset,
    affinities_from_boundary,
    open_affinities,
)
from napari_emseg.segmentation.affinity_view import affinities_of
from napari_emseg.segmentation.agglomeration import agglomerate
from napari_emseg.segmentation.contacts import find_contacts
from napari_emseg.segmentation.forest import Forest
from napari_emseg.segmentation.grouping import Grouped, Part
from napari_emseg.segmentation.lifted import lifted_multicut_tables, mutex_watershed_tables
from napari_emseg.segmentation.long_range import choose_long_range, find_lifted_edges
from napari_emseg.segmentation.rag import RegionGraph, build_rag
from napari_emseg.segmentation.smoothing import read_section
from napari_emseg.volume import Volume

Report = Callable[[], None]


def lifted_multicut(part: Part, report: Report) -> Grouped:
    """Cut the walls that cost least to cut, and what is seen apart from afar."""
    graph, lifted, forest = _graphs(part, "mean", report)
    return Grouped(forest, lifted_multicut_tables(graph, lifted, report=report))


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
        graph = build_rag(part.fragments, _boundary(part), part.n_fragments)
        channels = _from_boundary(part, along)
    else:
        reader = open_affinities(affinities)
        graph = _contacts(part, reader)
        is_far = _has_long_range(reader)
        channels = _from_affinities(reader) if is_far else _from_boundary(part, along)
    lifted = find_lifted_edges(
        part.fragments, part.n_fragments, channels, report, with_touching=with_touching
    )
    return graph, lifted, agglomerate(graph, part.sizes_voxels, report)


def _contacts(part: Part, reader: AffinityReader) -> RegionGraph:
    contacts = find_contacts(reader, part.fragments)
    wall = contacts.count - contacts.total
    return RegionGraph(contacts.a, contacts.b, wall, contacts.count, part.n_fragments)


def _from_boundary(part: Part, along: Along) -> Iterator[tuple[Offset, Map]]:
    is_section = part.fragments.shape[0] == 1
    boundary = Volume(_boundary(part), kind="boundary")
    for offset in choose_long_range(part.source.voxel_size_nm, is_section=is_section):
        yield offset, affinities_from_boundary(boundary, [offset], along=along).data[0]


def _boundary(part: Part) -> Map:
    return np.stack([read_section(part.source, z) for z in range(part.fragments.shape[0])])


def _from_affinities(reader: AffinityReader) -> Iterator[tuple[Offset, Map]]:
    for channel, offset in enumerate(reader.offsets):
        if offset not in NEAREST:
            sections = [reader.read([channel], z)[0] for z in range(reader.shape[0])]
            yield offset, np.stack(sections)


def _has_long_range(reader: AffinityReader) -> bool:
    n_z = reader.shape[0]
    return any(abs(o[0]) < n_z for o in reader.offsets if o not in NEAREST)
