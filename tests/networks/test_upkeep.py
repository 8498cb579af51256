"""Models come in and go out, get other names, are deleted and come back."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path
from zipfile import ZipFile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_emseg.errors import InputError
from napari_emseg.networks import build_network, library, model_files
from napari_emseg.networks.checkpoint import load_model, save_model
from napari_emseg.networks.info import METADATA_KEY, ModelInfo, read_info
from napari_emseg.networks.model_files import COMPANIONS
from napari_emseg.networks.rewriting import rewrite_metadata
from napari_emseg.networks.upkeep import (
    check_model_name,
    delete_model,
    export_model,
    free_model_name,
    import_model,
    rename_model,
    restore_model,
)


@pytest.fixture(autouse=True)
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Path]:
    """A bundled model "fly"; a lab's "mouse"; a colleague's "worm"; no folder of one's own yet."""
    made = {name: tmp_path / name for name in ("bundled", "lab", "mail", "own")}
    monkeypatch.setattr(library, "bundled_folder", lambda: made["bundled"])
    monkeypatch.setenv("EMSEG_MODELS", str(made["own"]))
    monkeypatch.setenv("EMSEG_CONFIG", str(tmp_path / "config"))
    for folder, name in (("bundled", "fly"), ("lab", "mouse"), ("mail", "worm")):
        made[folder].mkdir()
        save(made[folder] / f"{name}.safetensors")
    library.add_lab_folder(made["lab"])
    return made


def save(path: Path, width: int = 4) -> Path:
    network = build_network("unet2d", width=width, depth=1)
    info = ModelInfo(network="unet2d", title=f"The {path.stem}", default=True)
    save_model(path, network, info)
    return path


@pytest.fixture
def own(folders: dict[str, Path]) -> Path:
    """A model of one's own, "fish", with what its training left."""
    folders["own"].mkdir()
    for suffix in COMPANIONS:
        (folders["own"] / f"fish{suffix}").write_text(suffix)
    (folders["own"] / "fish.v2.curve.jsonl").write_text("of another one")
    return save(folders["own"] / "fish.safetensors")


def names() -> list[str]:
    return [info.name for info in library.list_models(with_lab=False)]


def visible(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.name[0] != ".")


def test_companions_are_what_a_training_leaves() -> None:
    from napari_emseg.training.trainer import CURVE_SUFFIX, STATE_SUFFIX

    assert set(COMPANIONS) == {STATE_SUFFIX, CURVE_SUFFIX}


class TestImporting:
    def test_a_model_from_elsewhere_becomes_ones_own(self, folders: dict[str, Path]) -> None:
        source = folders["mail"] / "worm.safetensors"
        info = import_model(source)
        assert (info.name, info.origin, info.default) == ("worm", "own", False)
        assert info.path == folders["own"] / "worm.safetensors"
        assert info.path.read_bytes() == source.read_bytes()

    def test_the_same_file_again_is_no_second_model(self, folders: dict[str, Path]) -> None:
        import_model(folders["mail"] / "worm.safetensors")
        assert import_model(folders["mail"] / "worm.safetensors").name == "worm"
        same_as_bundled = folders["mail"] / "copy.safetensors"
        same_as_bundled.write_bytes((folders["bundled"] / "fly.safetensors").read_bytes())
        assert import_model(same_as_bundled).name == "fly"
        assert names() == ["fly", "worm"]

    def test_another_file_of_a_name_that_is_taken_gets_a_number(
        self, folders: dict[str, Path]
    ) -> None:
        """Also of a bundled one, which it would hide, and on disks that know no upper case."""
        assert import_model(save(folders["mail"] / "Fly.safetensors", 8)).name == "Fly_2"
        assert import_model(save(folders["mail"] / "fly_2.safetensors", 12)).name == "fly_2_2"

    def test_a_name_that_is_taken_is_refused_where_it_was_wished(
        self, folders: dict[str, Path]
    ) -> None:
        with pytest.raises(InputError, match="There is a model 'FLY' already"):
            import_model(folders["mail"] / "worm.safetensors", "FLY")
        assert import_model(folders["mail"] / "worm.safetensors", " Wurm 1 ").name == "Wurm 1"

    def test_what_cannot_be_used_is_refused(self, folders: dict[str, Path]) -> None:
        torn, other = folders["mail"] / "torn.safetensors", folders["mail"] / "other.pt"
        torn.write_bytes((folders["mail"] / "worm.safetensors").read_bytes()[:-10])
        other.write_bytes(b"\x80\x02" + bytes(99))
        not_finite = save(folders["mail"] / "nan.safetensors")
        content = not_finite.read_bytes()
        not_finite.write_bytes(content[:-4] + b"\x00\x00\xc0\x7f")
        for path, words in (
            (torn, "incomplete"),
            (other, "pickled"),
            (not_finite, "not finite"),
            (folders["mail"] / "none.safetensors", "no model file"),
            (folders["mail"], "cannot be read"),
        ):
            with pytest.raises(InputError, match=words):
                import_model(path)
        assert not folders["own"].exists()

    def test_a_model_of_an_unknown_network_is_refused(self, folders: dict[str, Path]) -> None:
        path = folders["mail"] / "worm.safetensors"
        description = read_info(path).model_dump(
            mode="json", exclude={"name", "path", "problem", "origin"}
        )
        text = json.dumps({"format_version": 1, **description, "network": "of the future"})
        rewrite_metadata(path, {METADATA_KEY: text})
        with pytest.raises(InputError, match="update napari-emseg"):
            import_model(path)

    def test_a_package_that_cannot_be_used_is_refused_with_its_reason(
        self, folders: dict[str, Path]
    ) -> None:
        with ZipFile(folders["mail"] / "shrimp.zip", "w") as package:
            package.writestr("rdf.yaml", "type: dataset")
        with pytest.raises(InputError):
            import_model(folders["mail"] / "shrimp.zip")
        assert not folders["own"].exists()

    def test_a_folder_in_which_nothing_can_be_written_is_named(
        self, folders: dict[str, Path]
    ) -> None:
        folders["own"].write_text("a file in its place")
        with pytest.raises(InputError, match="cannot be made"):
            import_model(folders["mail"] / "worm.safetensors")


class TestExporting:
    @pytest.mark.parametrize("name", ["fly", "mouse", "fish"])
    def test_any_model_is_given_away_as_one_file(
        self, name: str, own: Path, tmp_path: Path
    ) -> None:
        path = export_model(name, tmp_path / "for you")
        assert path == tmp_path / "for you.safetensors"
        assert path.read_bytes() == library.find_model(name).path.read_bytes()
        load_model(path)

    def test_nothing_is_overwritten_unless_wished(self, own: Path, tmp_path: Path) -> None:
        target = tmp_path / "there.safetensors"
        target.write_text("precious")
        with pytest.raises(InputError, match="already"):
            export_model("fish", target)
        assert target.read_text() == "precious"
        export_model("fish", target, overwrite=True)
        assert target.read_bytes() == own.read_bytes()

    def test_a_model_is_not_written_over_itself(self, own: Path) -> None:
        content = own.read_bytes()
        with pytest.raises(InputError, match="the model itself"):
            export_model("fish", own, overwrite=True)
        assert own.read_bytes() == content

    def test_a_bad_model_or_place_is_refused(self, own: Path, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="no folder"):
            export_model("fish", tmp_path / "no" / "where")
        own.write_bytes(b"torn")
        with pytest.raises(InputError, match="no valid header"):
            export_model("fish", tmp_path / "fish")


class TestRenaming:
    def test_name_and_title_change_and_what_training_left_follows(self, own: Path) -> None:
        info = rename_model("fish", "Zebrafish, 7 dpf")
        assert (info.name, info.title) == ("Zebrafish, 7 dpf", "Zebrafish, 7 dpf")
        assert visible(own.parent) == [
            "Zebrafish, 7 dpf.curve.jsonl",
            "Zebrafish, 7 dpf.safetensors",
            "Zebrafish, 7 dpf.training",
            "fish.v2.curve.jsonl",
        ]
        load_model(info.path)

    def test_upper_case_may_change(self, own: Path) -> None:
        assert rename_model("fish", "Fish").name == "Fish"

    def test_a_broken_file_may_be_renamed(self, own: Path) -> None:
        own.write_bytes(b"torn")
        with pytest.raises(InputError, match="no valid header"):
            rename_model("fish", "thing")
        assert "thing.safetensors" in visible(own.parent)

    @pytest.mark.parametrize(
        ("name", "words"),
        [("fly", "comes with the program"), ("mouse", "of your lab"), ("cat", "any more")],
    )
    def test_only_ones_own(self, name: str, words: str, own: Path) -> None:
        with pytest.raises(InputError, match=words):
            rename_model(name, "new")
        with pytest.raises(InputError, match=words):
            delete_model(name)

    def test_a_name_that_is_taken_is_refused(self, own: Path) -> None:
        with pytest.raises(InputError, match="already"):
            rename_model("fish", "FLY")
        assert "fish" in names()


NO_NAMES = ["", "  ", "a/b", "a\\b", ".a", "a.", "default", "NUL", "a\nb", "a" * 101]


class TestNames:
    @pytest.mark.parametrize("name", NO_NAMES)
    def test_what_is_no_name_of_a_file_is_refused(self, name: str) -> None:
        with pytest.raises(InputError):
            check_model_name(name)

    @settings(max_examples=40, deadline=None)
    @given(st.text(max_size=120))
    def test_any_other_name_makes_a_file_in_the_folder(self, name: str) -> None:
        try:
            checked = check_model_name(name)
        except InputError:
            return
        path = Path("folder") / f"{checked}.safetensors"
        assert os.path.normpath(path) == str(path)
        assert path.parent == Path("folder")
        assert path.stem == checked
        assert check_model_name(checked) == checked

    def test_a_free_name_can_be_had(self) -> None:
        assert free_model_name("fly") == "fly_2"
        assert check_model_name(free_model_name("Fly")) == "Fly_2"


class TestDeleting:
    def test_what_the_disk_refuses_is_said_and_nothing_is_lost(
        self, own: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        before = visible(own.parent)
        rename = Path.rename

        def refuse(self: Path, target: Path) -> Path:  # one of the files is in use
            if self.suffix == ".training":
                raise PermissionError(errno.EACCES, "Permission denied", str(self))
            return rename(self, target)

        with monkeypatch.context() as patched:
            patched.setattr(Path, "rename", refuse)
            with pytest.raises(InputError, match="Cannot delete 'fish': writing there"):
                delete_model("fish")
            with pytest.raises(InputError, match="Cannot rename 'fish'"):
                rename_model("fish", "cod")
        assert visible(own.parent) == before
        assert library.find_model("fish").title == "The fish"

    def test_a_deleted_model_comes_back_as_it_was(self, own: Path) -> None:
        before = {p.name: p.read_bytes() for p in own.parent.iterdir() if p.is_file()}
        deleted = delete_model("fish")
        assert (deleted.name, deleted.title) == ("fish", "The fish")
        assert names() == ["fly"]
        assert visible(own.parent) == ["fish.v2.curve.jsonl"]
        assert restore_model(deleted).name == "fish"
        assert {p.name: p.read_bytes() for p in own.parent.iterdir() if p.is_file()} == before

    def test_a_broken_file_comes_back_too(self, own: Path) -> None:
        own.write_bytes(b"torn")
        assert restore_model(delete_model("fish")).problem

    def test_a_new_model_of_that_name_is_not_overwritten(self, own: Path) -> None:
        deleted = delete_model("fish")
        save(own, 8)
        content = own.read_bytes()
        with pytest.raises(InputError, match="named 'fish' now"):
            restore_model(deleted)
        assert own.read_bytes() == content

    def test_what_was_deleted_long_ago_is_gone_and_the_rest_is_kept(
        self, own: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        first = delete_model("fish")
        save(own)
        second = delete_model("fish")
        (aside,) = {to.parent for _, to in first.moves}
        long_ago = aside.stat().st_mtime - (model_files.KEPT_DAYS + 1) * 86400
        os.utime(aside, (long_ago, long_ago))
        save(own)
        delete_model("fish")
        with pytest.raises(InputError, match="too long ago"):
            restore_model(first)
        assert restore_model(second).name == "fish"
