"""What the tensors of a network are worth to it: measured on examples, or read from a file."""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from neuralcodec.container.files import PathLike
from neuralcodec.errors import UnsupportedInput, naming
from neuralcodec.weights.sources import open_weights
from neuralcodec.weights.weighing import as_reals

if TYPE_CHECKING:
    import torch

DAMPING = 0.75  # of the measured information: best at 3 to 5 bits a parameter (docs/weights.md)


def measure_importance(
    module: "torch.nn.Module",
    batches: Iterable[Any],
    loss: "Callable[[Any], torch.Tensor] | None" = None,
    *,
    damping: float = DAMPING,
    seed: int = 0,
) -> dict[str, float]:
    """Return how much the outputs of a network change with an error of each of its matrices, for `importance=`.

    It is the mean diagonal of the Fisher information of each parameter tensor of two or more dimensions: squared
    gradients of the loss at outcomes that are drawn from the network's own predictions, so no labels are needed. A
    thousand examples do; smaller batches use them better.

    Parameters
    ----------
    module
        A torch module; it is run in evaluation, and left as it was.
    batches
        Inputs, or tuples of inputs, of the module.
    loss
        What to make of the outputs: the negative logarithm of the probability of an outcome drawn from them, summed
        over the batch. None for classifiers, whose outputs `(batch, classes, ...)` are logits.
    damping
        Power of the information that is returned.
    seed
        Of the outcomes drawn.

    Raises
    ------
    UnsupportedInput
        There are no batches, or a loss is not finite.

    >>> import torch
    >>> _ = torch.manual_seed(0)
    >>> network = torch.nn.Sequential(torch.nn.Linear(8, 16), torch.nn.ReLU(), torch.nn.Linear(16, 3))
    >>> importance = measure_importance(network, torch.randn(64, 8).split(8))
    >>> list(importance), all(value > 0 for value in importance.values())
    (['0.weight', '2.weight'], True)
    """
    import torch

    parameters = {
        name: parameter
        for name, parameter in module.named_parameters(remove_duplicate=False)
        if parameter.dim() > 1 and parameter.requires_grad
    }
    squares = dict.fromkeys(parameters, 0.0)
    modes = {child: child.training for child in module.modules()}
    module.eval()
    seen = 0
    try:
        with torch.random.fork_rng(devices=[]), torch.enable_grad():
            torch.manual_seed(seed)
            for batch in batches:
                outputs = module(*batch) if isinstance(batch, tuple) else module(batch)
                value = _surprise(outputs) if loss is None else loss(outputs)
                if not bool(torch.isfinite(value)):
                    raise UnsupportedInput("the loss on the calibration examples is not finite")
                found = torch.autograd.grad(value, list(parameters.values()), allow_unused=True)
                for name, gradient in zip(parameters, found, strict=True):
                    if gradient is not None:
                        squares[name] += float(gradient.double().square().mean())
                seen += 1
    finally:
        for child, training in modes.items():
            child.training = training
    if not seen:
        raise UnsupportedInput("there are no calibration examples")
    return {name: (square / seen) ** damping for name, square in squares.items()}


def _surprise(logits: "torch.Tensor") -> "torch.Tensor":
    """Return the cross entropy with classes drawn from the logits' own distribution, summed."""
    import torch

    flat = logits.movedim(1, -1).flatten(0, -2)
    drawn = torch.multinomial(flat.detach().softmax(1), 1)[:, 0]
    return torch.nn.functional.cross_entropy(flat, drawn, reduction="sum")


def read_importance(path: PathLike) -> dict[str, Any]:
    """Return the importance of tensors from a safetensors, npz or torch file: floats by the tensors' names.

    Raises
    ------
    UnsupportedInput
        A tensor of the file does not hold floats.
    """
    with naming(path), open_weights(path) as source:
        for spec in source.specs:
            if not spec.type.is_float:
                raise UnsupportedInput(
                    f"the importance of {spec.name!r} is of the dtype {spec.type.name}, not floats"
                )
        return {spec.name: as_reals(source.read(number), spec) for number, spec in enumerate(source.specs)}
