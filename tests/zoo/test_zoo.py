import json
import os
import threading
from pathlib import Path

import numpy as np
import pytest
from small_models import random_signals, small_circuit

import neuralcodec
from neuralcodec import zoo
from neuralcodec.artifact import Artifact, write_artifact
from neuralcodec.circuits.circuit import Circuit
from neuralcodec.errors import CorruptFile, InvalidModel, NotNeuralCodecFile, UnknownModel, WrongModel
from neuralcodec.zoo import resolve

FIRST, SECOND, SHIPPED = (
    small_circuit(seed=seed, name=name) for seed, name in ((1, "one"), (2, "two"), (3, "ship"))
)
X = random_signals(FIRST, 1)[0]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user's folder that is not there yet, and a zoo of one model."""
    path = tmp_path / "shipped.ncm"
    write_artifact(path, SHIPPED.to_artifact())
    entry = zoo.ModelEntry("ship-2", str(path), SHIPPED.identity.hex(), "zoo", ("ship",))
    monkeypatch.setattr(zoo, "zoo_models", lambda: (entry,))
    monkeypatch.setenv("NEURALCODEC_MODELS", str(tmp_path / "user" / "models"))
    return tmp_path / "user" / "models"


def save(path: Path, circuit: Circuit) -> Path:
    write_artifact(path, circuit.to_artifact())
    return path


def test_the_index_tells_the_truth_about_the_shipped_files() -> None:
    folder = Path(zoo.__file__).parent
    index = json.loads((folder / "index.json").read_text())
    assert sorted(item["file"] for item in index.values()) == sorted(
        path.name for path in folder.glob("*.ncm")
    )
    names = [name for entry in zoo.zoo_models() for name in (entry.name, *entry.aliases)]
    assert len(names) == len(set(names))
    for entry in zoo.zoo_models():
        assert neuralcodec.load_model(entry.path).identity.hex() == entry.identity


def test_added_models_have_a_name_and_decode_by_identity(folder: Path, tmp_path: Path) -> None:
    entry = zoo.add_model(save(tmp_path / "file.ncm", FIRST))
    assert entry == zoo.ModelEntry("one", str(folder / "one.ncm"), FIRST.identity.hex(), "user")
    assert zoo.list_models()[0] == entry
    assert zoo.model_names() == ["one", "ship-2", "ship"]
    data = neuralcodec.compress(X, "one")
    os.remove(tmp_path / "file.ncm")
    assert np.array_equal(neuralcodec.decompress(data), X)
    assert (entry.header["name"], entry.signal) == ("one", resolve.codec_with(FIRST).signal)
    assert entry.size == (folder / "one.ncm").stat().st_size
    assert [path.name for path in folder.iterdir()] == ["one.ncm"]


def test_names_come_from_the_caller_the_header_or_the_file(folder: Path, tmp_path: Path) -> None:
    nameless = Circuit(FIRST.structure, FIRST.levels, {})
    assert zoo.add_model(save(tmp_path / "from-file.ncm", nameless)).name == "from-file"
    assert zoo.add_model(tmp_path / "from-file.ncm", "given").name == "given"
    for name in ("../evil", ".hidden", "a b", "x" * 65):
        with pytest.raises(InvalidModel, match="cannot name a model"):
            zoo.add_model(tmp_path / "from-file.ncm", name)


def test_a_name_means_one_model(folder: Path, tmp_path: Path) -> None:
    path = save(tmp_path / "a.ncm", FIRST)
    other = save(tmp_path / "b.ncm", SECOND)
    zoo.add_model(path, "mine")
    zoo.add_model(path, "mine")
    for taken in ("mine", "ship", "ship-2"):
        with pytest.raises(InvalidModel, match=f"'{taken}' belongs to another model"):
            zoo.add_model(other, taken)
    assert zoo.find_model("mine").identity == FIRST.identity.hex()


def test_what_is_no_valid_model_is_not_added(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "x.ncm"
    for data, error in (
        (b"text", NotNeuralCodecFile),
        (FIRST.to_artifact().to_bytes()[:-5], CorruptFile),
        (Artifact("circuit", {}, {}).to_bytes(), InvalidModel),
        (Artifact("nobody", {}, {}).to_bytes(), InvalidModel),
    ):
        path.write_bytes(data)
        with pytest.raises(error, match=r"x\.ncm: "):
            zoo.add_model(path)
    assert not folder.exists()


def test_resolution_goes_from_paths_to_the_user_to_the_zoo(folder: Path, tmp_path: Path) -> None:
    def found(name: str | Path) -> bytes:
        return neuralcodec.load_model(name).identity

    path = save(tmp_path / "ship.ncm", FIRST)
    assert found("ship") == found("ship-2") == SHIPPED.identity
    assert found(path) == found(str(path)) == FIRST.identity
    folder.mkdir(parents=True)
    save(folder / "ship.ncm", SECOND)  # put there by hand
    assert found("ship") == SECOND.identity
    assert found("ship-2") == SHIPPED.identity
    assert neuralcodec.load_model(FIRST) is FIRST


def test_unknown_names_list_those_that_exist(folder: Path) -> None:
    with pytest.raises(UnknownModel, match="no model is called 'pc'; the models here are ship-2, ship"):
        neuralcodec.load_model("pc")
    with pytest.raises(UnknownModel, match=r"no model file /no/such\.ncm \(No such file.*ship-2"):
        neuralcodec.load_model("/no/such.ncm")
    with pytest.raises(
        UnknownModel, match=f"model {FIRST.identity.hex()[:8]}, which is not here.*ship-2.*models add"
    ):
        neuralcodec.decompress(neuralcodec.compress(X, FIRST))
    with pytest.raises(UnknownModel, match=FIRST.identity.hex()):
        neuralcodec.decompress_many(neuralcodec.compress_many([X], FIRST))


def test_wrong_models_are_named_with_the_right_one(folder: Path) -> None:
    data = neuralcodec.compress(X, SHIPPED)
    right, wrong = SHIPPED.identity.hex()[:8], FIRST.identity.hex()[:8]
    with pytest.raises(WrongModel, match=rf"model {right} \(ship-2\); the model given is {wrong}"):
        neuralcodec.decompress(data, FIRST)
    with pytest.raises(WrongModel, match=rf"{SHIPPED.identity.hex()} \(ship-2\)"):
        neuralcodec.decompress_many(neuralcodec.compress_many([X], SHIPPED), model=FIRST)


def test_strangers_in_the_folder_do_no_harm(folder: Path) -> None:
    folder.mkdir(parents=True)
    (folder / "short.ncm").write_bytes(b"\x89NCM")
    (folder / "text.ncm").write_bytes(b"t" * 100)
    (folder / "note.txt").write_text("hello")
    (folder / "dir.ncm").mkdir()
    assert zoo.user_models() == []


def test_a_file_is_read_again_only_when_it_changes(folder: Path, tmp_path: Path) -> None:
    path = save(tmp_path / "m.ncm", FIRST)
    loaded = neuralcodec.load_model(path)
    assert neuralcodec.load_model(str(path)) is loaded
    save(path, SECOND)
    os.utime(path, ns=(1, 1))
    assert neuralcodec.load_model(path).identity == SECOND.identity


def test_the_cache_is_bounded(tmp_path: Path) -> None:
    for number in range(resolve.CACHED_MODELS + 3):
        neuralcodec.load_model(save(tmp_path / f"{number}.ncm", FIRST))
    assert len(resolve._loaded) == resolve.CACHED_MODELS


def test_threads_load_a_model_once(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save(tmp_path / "m.ncm", FIRST)
    reads: list[str] = []
    read = resolve._read
    monkeypatch.setattr(resolve, "_read", lambda file: (reads.append(file), read(file))[1])
    results: list[bool] = []

    def work() -> None:
        data = neuralcodec.compress(X, path)
        results.append(np.array_equal(neuralcodec.decompress(data, path), X))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [True] * 8
    assert reads == [str(path)]


def test_the_folder_is_where_the_system_keeps_user_data(monkeypatch: pytest.MonkeyPatch) -> None:
    from platformdirs import user_data_dir

    monkeypatch.delenv("NEURALCODEC_MODELS")
    assert zoo.models_folder() == os.path.join(user_data_dir("neuralcodec", appauthor=False), "models")
