"""Edits made at once, without a look at their preview."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

from napari_emseg.proofreading.preview import Preview
from napari_emseg.proofreading.runs import Triple


class Shorthands(ABC):
    """One method for each operation; the parameters are those of the operation."""

    @abstractmethod
    def preview(self, operation: str, *arguments: Any, **options: Any) -> Preview:
        """Return what an operation would do; nothing is changed."""

    @abstractmethod
    def commit(
        self,
        preview: Preview,
        *,
        seconds: float | None = None,
        stamp: tuple[str, str] | None = None,
    ) -> Preview:
        """Make an edit that was previewed."""

    def merge(self, segments: Sequence[int], **options: Any) -> Preview:
        """Join segments; see :func:`operations.merge`."""
        return self.commit(self.preview("merge", segments, **options))

    def split(self, groups: Sequence[Sequence[Sequence[float]]], **options: Any) -> Preview:
        """Split between groups of voxels; see :func:`splitting.split_by_points`."""
        return self.commit(self.preview("split", groups, **options))

    def split_by_line(self, section: int, line: Any, **options: Any) -> Preview:
        """Split along a line in a section; see :func:`splitting.split_by_line`."""
        return self.commit(self.preview("split_by_line", section, line, **options))

    def absorb(self, fragments: Sequence[int], segment: int, **options: Any) -> Preview:
        """Give fragments to a segment; see :func:`operations.absorb`."""
        return self.commit(self.preview("absorb", fragments, segment, **options))

    def detach(self, fragments: Sequence[int], **options: Any) -> Preview:
        """Make fragments a segment of their own; see :func:`operations.detach`."""
        return self.commit(self.preview("detach", fragments, **options))

    def delete(self, segments: Sequence[int]) -> Preview:
        """Make segments background; see :func:`operations.delete`."""
        return self.commit(self.preview("delete", segments))

    def rename(self, segment: int, name: str) -> Preview:
        """Name a segment; see :func:`operations.rename`."""
        return self.commit(self.preview("rename", segment, name))

    def set_aside(self, segments: Sequence[int], is_aside: bool = True) -> Preview:
        """Put segments aside; see :func:`operations.set_aside`."""
        return self.commit(self.preview("set_aside", segments, is_aside))

    def mark_done(self, segments: Sequence[int], is_done: bool = True) -> Preview:
        """Lock segments; see :func:`operations.mark_done`."""
        return self.commit(self.preview("mark_done", segments, is_done))

    def paint(self, mask: Any, segment: int | None, *, origin: Triple = (0, 0, 0)) -> Preview:
        """Paint or erase voxels; see :func:`painting.paint`."""
        return self.commit(self.preview("paint", mask, segment, origin=origin))

    def keep(self, fragments: Sequence[int]) -> Preview:
        """Note that two fragments are right as they are; see :func:`operations.keep`."""
        return self.commit(self.preview("keep", fragments))
