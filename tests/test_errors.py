import pickle

import pytest

from neuralcodec import errors
from neuralcodec.errors import CorruptFile, NeuralCodecError, TruncatedFile, UnknownModel, naming, within


def test_one_base_catches_all() -> None:
    kinds = [item for item in vars(errors).values() if isinstance(item, type) and issubclass(item, Exception)]
    assert len(kinds) == 11
    assert all(issubclass(kind, NeuralCodecError) for kind in kinds)
    assert issubclass(TruncatedFile, CorruptFile)


def test_messages_name_file_and_section_from_the_outside_in() -> None:
    with pytest.raises(TruncatedFile) as caught, naming("outer"), naming("a.ncz"), within("chunk 3"):
        raise TruncatedFile("3 bytes are left", "payload")
    assert str(caught.value) == "a.ncz: chunk 3, payload: 3 bytes are left"
    assert (caught.value.section, caught.value.source) == ("chunk 3, payload", "a.ncz")


def test_a_section_is_named_once() -> None:
    with pytest.raises(CorruptFile, match=r"^chunk 3: bad$"), within("chunk 3"):
        raise CorruptFile("bad", "chunk 3")
    with pytest.raises(CorruptFile, match=r"^chunk 3: bad$"), within("chunk 3"):
        raise CorruptFile("bad")


def test_errors_travel_between_processes() -> None:
    error = TruncatedFile("bad", "index")
    error.source = "a.ncz"
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again), again.section) == (TruncatedFile, "a.ncz: index: bad", "index")


def test_unknown_models_list_the_names() -> None:
    assert str(UnknownModel.named("x", ["a", "b"])).endswith("the models here are a, b")
    assert str(UnknownModel.named("x", [])).endswith("there are no models here")
