"""Archives give back the folder they were made of, and nothing else gets out of them."""

import io
import tarfile
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api import archive
from api.archive import save, stream_archive, unpack
from model.errors import InvalidInput

NAMES = st.text("abcé-_. ", min_size=1, max_size=12).filter(lambda name: name.strip(". ") != "")


@given(st.dictionaries(st.tuples(NAMES, NAMES), st.binary(max_size=2000), max_size=5))
def test_gives_back_the_folder(files: dict[tuple[str, str], bytes]) -> None:
    with TemporaryDirectory() as scratch:
        source, target, tar = Path(scratch, "source"), Path(scratch, "target"), Path(scratch, "a.tar")
        source.mkdir()
        for (folder, name), content in files.items():
            (source / f"d{folder}").mkdir(exist_ok=True)
            (source / f"d{folder}" / name).write_bytes(content)
        save(stream_archive(source), tar)
        unpack(tar, target)
        found = {path.relative_to(target).as_posix(): path.read_bytes() for path in target.rglob("*") if path.is_file()}
        assert found == {f"d{folder}/{name}": content for (folder, name), content in files.items()}


def test_is_the_same_for_the_same_files(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "b").write_text("2")
        (tmp_path / name / "a").write_text("1")
    assert b"".join(stream_archive(tmp_path / "one")) == b"".join(stream_archive(tmp_path / "two"))


def test_leaves_links_out(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "secret").write_text("secret")
    (tmp_path / "folder" / "link").symlink_to(tmp_path / "secret")
    assert b"secret" not in b"".join(stream_archive(tmp_path / "folder"))


def _tar(path: Path, *members: tarfile.TarInfo) -> Path:
    with tarfile.open(path, "w") as tar:
        for member in members:
            tar.addfile(member, io.BytesIO(bytes(member.size)))
    return path


def _member(name: str, kind: bytes = tarfile.REGTYPE, size: int = 0, target: str = "") -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.size, member.linkname = kind, size, target
    return member


@pytest.mark.parametrize(
    "member",
    [
        _member("../outside", size=3),
        _member("a/../../outside", size=3),
        _member("link", tarfile.SYMTYPE, target="/etc/passwd"),
        _member("hard", tarfile.LNKTYPE, target="../outside"),
        _member("pipe", tarfile.FIFOTYPE),
        _member("device", tarfile.CHRTYPE),
    ],
    ids=lambda member: member.name,
)
def test_refuses_what_leads_out(tmp_path: Path, member: tarfile.TarInfo) -> None:
    with pytest.raises(InvalidInput):
        unpack(_tar(tmp_path / "bad.tar", _member("good", size=1), member), tmp_path / "out")
    assert not (tmp_path / "outside").exists()


def test_refuses_an_absolute_path(tmp_path: Path) -> None:
    target = tmp_path / "absolute"
    unpack(_tar(tmp_path / "bad.tar", _member(str(target), size=3)), tmp_path / "out")
    assert not target.exists()  # the data filter makes the name relative to the folder


def test_refuses_a_damaged_archive(tmp_path: Path) -> None:
    path = tmp_path / "bad.tar"
    path.write_bytes(b"no tar at all" * 100)
    with pytest.raises(InvalidInput, match="cannot be unpacked"):
        unpack(path, tmp_path / "out")


def test_refuses_a_truncated_archive(tmp_path: Path) -> None:
    path = _tar(tmp_path / "cut.tar", _member("a", size=5000))
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(InvalidInput, match="cannot be unpacked"):
        unpack(path, tmp_path / "out")


def test_refuses_too_many_members_and_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = _tar(tmp_path / "big.tar", *(_member(f"f{number}", size=100) for number in range(20)))
    monkeypatch.setattr(archive, "MAX_MEMBERS", 10)
    with pytest.raises(InvalidInput, match="more than 10 files"):
        unpack(path, tmp_path / "out")
    monkeypatch.setattr(archive, "MAX_MEMBERS", 100)
    monkeypatch.setattr(archive, "MAX_UNPACKED_BYTES", 1000)
    with pytest.raises(InvalidInput, match="1000 bytes"):
        unpack(path, tmp_path / "out")
    with pytest.raises(InvalidInput, match="longer than 1000"):
        save([b"x" * 600] * 2, tmp_path / "saved")
