"""What importing loads: a circuit's decoder must not need constriction."""

import subprocess
import sys

import pytest

import neuralcodec.entropy


def modules_after(statement: str) -> set[str]:
    code = f"import sys; {statement}; print(*sys.modules)"
    return set(
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        ).stdout.split()
    )


def test_the_tensor_coder_does_not_import_constriction() -> None:
    loaded = modules_after("from neuralcodec.entropy.tensor import decode_tensor; import neuralcodec.entropy")
    assert "neuralcodec.entropy.tensor" in loaded
    assert not loaded & {"constriction", "scipy", "torch", "mpmath", "neuralcodec.entropy.ans"}


def test_models_do_not_import_constriction_until_they_code() -> None:
    loaded = modules_after("from neuralcodec.entropy import Categorical, DiscretisedGaussian")
    assert "neuralcodec.entropy.discretised" in loaded
    assert not loaded & {"constriction", "scipy", "torch", "mpmath"}


def test_every_public_name_is_there() -> None:
    for name in neuralcodec.entropy.__all__:
        assert getattr(neuralcodec.entropy, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'AnsCoder'"):
        neuralcodec.entropy.AnsCoder  # noqa: B018
