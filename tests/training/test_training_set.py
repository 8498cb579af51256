"""Training-set files."""

from __future__ import annotations

import numpy as np
import pytest

from napari_emseg.errors import InputError
from napari_emseg.training import load_training_set
from napari_emseg.training.training_set import read_training_set

ENTRY = """  - name: mine
    raw: raw.tif
    labels: labels.tif
    voxel_size_nm: [40, 8, 8]
    train_sections: 0-1
    validation_sections: 2
    weight: 3
"""
SET = f"""
sets:
{ENTRY}params: {{width: 4}}
"""


def test_a_training_set_is_opened_from_the_data_folder(tmp_path, monkeypatch):
    tifffile = pytest.importorskip("tifffile")
    data = tmp_path / "data"
    data.mkdir()
    tifffile.imwrite(data / "raw.tif", np.arange(100, dtype=np.uint8).reshape(5, 4, 5))
    tifffile.imwrite(data / "labels.tif", np.ones((5, 4, 5), np.uint16))
    path = tmp_path / "set.yaml"
    path.write_text(SET)
    monkeypatch.setenv("EMSEG_DATA", str(data))
    (made,) = load_training_set(path)
    assert made.raw.voxel_size_nm == (40, 8, 8)
    assert made.labels.kind == "labels"
    assert (made.train_sections, made.validation_sections) == ((0, 1), (2,))
    assert made.weight == 3
    assert read_training_set(path).params == {"width": 4}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("sets: []", "sets"),
        ("{", "not a YAML file"),
        (SET.replace("0-1", "first"), "no range of sections"),
        (SET.replace("0-1", "1-0"), "no range of sections"),
        (SET.replace("0-1", "0-99999999999"), "no range of sections"),
        (SET.replace("params", ENTRY + "params"), "two data sets are named 'mine'"),
        (SET.replace("weight: 3", "weight: 0"), "weight"),
        (SET.replace("weight: 3", "weight: .inf"), "weight"),
        (SET.replace("labels: labels.tif", ""), "labels"),
        ("just words", "needs a list 'sets'"),
        ("sets: 3", "needs a list 'sets'"),
        ("sets: [a.tif]", "data set 1 needs names"),
        (
            SET.replace("labels: labels.tif", "label: labels.tif"),
            "'labels' of data set 1 is missing",
        ),
        (SET.replace("weight: 3", "weihgt: 3"), "'weihgt' of data set 1 is not a known name"),
        (
            SET.replace("weight: 3", "labels_kind: ids"),
            "must be 'labels', 'membranes' or 'painted'",
        ),
        (
            SET.replace("[40, 8, 8]", "[40, 8, wide]"),
            "voxel_size_nm of data set 1 cannot be 'wide'",
        ),
        (SET.replace("weight: 3", "weight: heavy"), "weight of data set 1 cannot be 'heavy'"),
        ("!!python/object/apply:os.system ['true']", "not a YAML file"),
    ],
)
def test_a_wrong_training_set_is_one_sentence(tmp_path, content, words):
    path = tmp_path / "set.yaml"
    path.write_text(content)
    with pytest.raises(InputError, match=words):
        read_training_set(path)


def test_a_missing_training_set_is_one_sentence(tmp_path):
    with pytest.raises(InputError, match="Cannot read"):
        read_training_set(tmp_path / "none.yaml")


def test_the_axes_of_a_set_are_read_from_its_file(tmp_path):
    entry = "- {name: a, raw: r.tif, labels: l.tif, train_sections: 0-1, axes: %s}"
    path = tmp_path / "set.yaml"
    path.write_text("sets:\n" + entry % "zyx")
    assert read_training_set(path).sets[0].axes == "zyx"
    path.write_text("sets:\n" + entry % "xy")
    with pytest.raises(InputError, match="axes of data set 1 must be 'z' or 'zyx', not 'xy'"):
        read_training_set(path)
