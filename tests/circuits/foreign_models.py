"""Small circuits of other libraries, and what those libraries say of some signals.

    python tests/circuits/foreign_models.py

records them beside the tests, in foreign/: the converted arrays, and the signals with their log likelihoods.
Needs pyjuice, triton and libcirkit, torch for any processor.
"""

import contextlib
import json
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuralcodec.circuits.arrays import CircuitArrays, save_arrays

FOLDER = Path(__file__).parent / "foreign"
SIGNALS = 12


@dataclass(frozen=True)
class Foreign:
    """A converted circuit, and the natural log likelihoods that its library gives to (n, D) signals."""

    arrays: CircuitArrays
    signals: NDArray[np.int64]
    log_likelihood: NDArray[np.float64]


@contextlib.contextmanager
def _pyjuice_without_a_gpu() -> Iterator[None]:
    """PyJuice has no path for the CPU; Triton's interpreter runs its kernels once nothing asks for a device."""
    import torch

    kept = torch.cuda.current_device, torch.cuda.device, torch.Tensor.cuda
    torch.cuda.current_device = lambda: 0
    torch.cuda.device = lambda device: contextlib.nullcontext()
    torch.Tensor.cuda = lambda self, *_, **__: self
    try:
        yield
    finally:
        torch.cuda.current_device, torch.cuda.device, torch.Tensor.cuda = kept


def pyjuice_models() -> dict[str, Callable[[], Foreign]]:
    """A hidden Chow-Liu tree whose inputs are tied, and a circuit of sparse blocks with logistic inputs."""
    os.environ["TRITON_INTERPRET"] = "1"  # read when Triton is imported
    import pyjuice
    import torch
    from from_pyjuice import from_pyjuice

    def foreign(root: Any, signals: Any) -> Foreign:
        root.init_parameters(perturbation=3.0)
        with _pyjuice_without_a_gpu():
            circuit = pyjuice.compile(root, verbose=False)
            for layer in circuit.input_layer_group:
                layer.__dict__["device"] = SimpleNamespace(type="cuda", index=0)
            found = circuit(signals).detach().numpy()[:, 0]
        return Foreign(from_pyjuice(root), signals.numpy(), found.astype(np.float64))

    def tree() -> Foreign:
        torch.manual_seed(0)
        data = torch.randint(0, 8, (200, 6))
        kind = pyjuice.distributions.Categorical(num_cats=8)
        root = pyjuice.structures.HCLT(
            data.float(), num_latents=4, input_dist=kind, num_bins=8, sigma=0.05, tie_input_params=True
        )
        return foreign(root, data[:SIGNALS])

    def blocks() -> Foreign:
        torch.manual_seed(1)
        kinds = [pyjuice.distributions.Categorical(num_cats=8)] * 4
        kinds += [pyjuice.distributions.DiscreteLogistic(val_range=(0.0, 1.0), num_cats=8)] * 2
        with pyjuice.set_block_size(2):
            x = [pyjuice.inputs(i, num_node_blocks=2, dist=kind) for i, kind in enumerate(kinds)]
            one = pyjuice.multiply(x[0], x[1], edge_ids=torch.tensor([[0, 0], [1, 0], [1, 1]]))
            pairs = torch.tensor([[0, 1], [1, 1], [2, 0], [3, 3]])
            two = pyjuice.multiply(x[0], x[1], edge_ids=pairs, sparse_edges=True)
            edges = torch.tensor([[0, 0, 0, 1, 1], [0, 2, 4, 1, 3]])
            left = pyjuice.summate(one, two, num_node_blocks=2, edge_ids=edges)
            right = pyjuice.summate(pyjuice.multiply(*x[2:]), num_node_blocks=2)
            root = pyjuice.summate(pyjuice.multiply(left, right), num_node_blocks=1, block_size=1)
        return foreign(root, torch.randint(0, 8, (SIGNALS, 6)))

    return {"pyjuice-tree": tree, "pyjuice-blocks": blocks}


def cirkit_models() -> dict[str, Callable[[], Foreign]]:
    """A quad-tree of Tucker layers, the same of CP layers that is not normalised, and a hidden Markov chain."""
    import torch
    from cirkit.pipeline import PipelineContext
    from cirkit.symbolic.functional import integrate
    from cirkit.templates.data_modalities import image_data
    from cirkit.templates.pgms import hmm
    from cirkit.templates.utils import Parameterization
    from from_cirkit import from_cirkit

    def foreign(symbolic: Any, alphabet: int, **options: bool) -> Foreign:
        torch.manual_seed(0)
        with PipelineContext(backend="torch", semiring="lse-sum", **options) as context:
            circuit, partition = context.compile(symbolic), context.compile(integrate(symbolic))
        signals = torch.randint(0, alphabet, (SIGNALS, circuit.num_variables))
        with torch.no_grad():
            found = (circuit(signals) - partition()).reshape(-1)
        return Foreign(from_cirkit(circuit), signals.numpy(), found.double().numpy())

    def image(kind: str, parameter: str, layer: str, activation: str) -> Any:
        return image_data(
            (1, 2, 3),
            "quad-tree-2",
            input_layer=kind,
            num_input_units=3,
            sum_product_layer=layer,
            num_sum_units=3,
            input_params={parameter: Parameterization(activation="softmax", initialization="normal")},
            sum_weight_param=Parameterization(activation=activation, initialization="normal"),
        )

    chain = hmm([2, 0, 1, 3], num_latent_states=3, input_layer_kwargs={"num_categories": 5})
    return {
        "cirkit-tucker": lambda: foreign(image("categorical", "probs", "tucker", "softmax"), 256),
        "cirkit-unnormalised": lambda: foreign(
            image("embedding", "weight", "cp", "softplus"), 256, fold=True, optimize=True
        ),
        "cirkit-chain": lambda: foreign(chain, 5, fold=True, optimize=False),
    }


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    facts = {}
    for name, make in (pyjuice_models() | cirkit_models()).items():
        model = make()
        save_arrays(FOLDER / f"{name}.npz", model.arrays)
        found = [round(value, 7) for value in model.log_likelihood.tolist()]
        facts[name] = {"signals": model.signals.tolist(), "log_likelihood": found}
        print(name, model.arrays.units, (FOLDER / f"{name}.npz").stat().st_size, file=sys.stderr)
    (FOLDER / "likelihoods.json").write_text(json.dumps(facts) + "\n")


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[2] / "docs" / "examples"))
    main()
