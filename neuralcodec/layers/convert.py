"""Whole networks: their layers replaced by compact ones, by the pattern of their names, and back by torch's own."""

import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from torch import nn

from neuralcodec.errors import InvalidLayer
from neuralcodec.layers import hypercomplex, tensorized
from neuralcodec.layers.compact_layer import CompactLayer, Path
from neuralcodec.layers.formats import Rank
from neuralcodec.layers.report import Change, Report, measured

_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
_TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
_KINDS = (nn.Linear, *_CONVOLUTIONS, *_TRANSPOSED)


@dataclass(frozen=True)
class Hypercomplex:
    """What to make of layers: hypercomplex ones; options as in :class:`~neuralcodec.layers.PHLinear`."""

    n: int | None = None
    algebra: str = "learned"
    algebra_rank: int | None = None
    nonlinearity: str = "linear"
    path: Path = "auto"

    def replace(self, layer: nn.Module, trained: bool) -> CompactLayer:
        """The compact layer in the place of one of torch's own.

        Raises
        ------
        InvalidLayer
            If the options do not fit its sizes.
        """
        kind: type[CompactLayer] = getattr(hypercomplex, f"PH{type(layer).__name__}")
        return kind.from_dense(layer, trained=trained, **vars(self))


@dataclass(frozen=True)
class Tensorized:
    """What to make of layers: ones in a tensor format; options as in :class:`~neuralcodec.layers.TensorConv2d`.

    An `energy` needs trained weights.
    """

    format: str = "tucker"
    rank: Rank | None = None
    energy: float | None = None
    nonlinearity: str = "linear"
    path: Path = "auto"

    def replace(self, layer: nn.Module, trained: bool) -> CompactLayer:
        """The compact layer in the place of one of torch's own.

        Raises
        ------
        InvalidLayer
            If the options do not fit its sizes.
        """
        kind: type[CompactLayer] | None = getattr(tensorized, f"Tensor{type(layer).__name__}", None)
        if kind is None:
            raise InvalidLayer(f"there is no tensor format of {type(layer).__name__}")
        return kind.from_dense(layer, trained=trained, **vars(self))


Choice = Hypercomplex | Tensorized | None


def compact(
    module: nn.Module,
    spec: Choice | Mapping[str, Choice],
    *,
    trained: bool = False,
    example: Any = None,
    strict: bool = False,
) -> Report:
    """Replace linear layers and convolutions of a module by compact ones, in place.

    Parameters
    ----------
    module
        Any module; its `nn.Linear`, `nn.Conv1d/2d/3d` and `nn.ConvTranspose1d/2d/3d` are looked at, of exactly these
        types: what derives from them may do otherwise.
    spec
        What to make of which layer: patterns of names (`"layer[12].*.conv?"`, as in `fnmatch`; the first that matches
        decides) with a :class:`Hypercomplex`, a :class:`Tensorized`, or None to leave layers alone. One of these
        without a pattern is for all layers.
    trained
        Start from the weights that the layers have: the nearest that the compact layers can hold. Otherwise anew.
    example
        An input, or a tuple of inputs, of the module: the report then tells FLOPs.
    strict
        Raise where a layer cannot be replaced. Otherwise it stays, and the report tells the reason.

    Returns
    -------
    Report
        Parameters, bytes, expected coded bytes and, with an example, FLOPs, before and after, layer by layer.

    Raises
    ------
    InvalidLayer
        If a pattern matches no layer, the module is itself a layer, or, if strict, a layer cannot be replaced.

    Examples
    --------
    >>> from torch import nn
    >>> network = nn.Sequential(nn.Conv2d(3, 64, 3), nn.ReLU(), nn.Conv2d(64, 64, 3))
    >>> report = compact(network, {"0": None, "*": Hypercomplex(n=4, nonlinearity="relu")})
    >>> type(network[2]).__name__, report.before.parameters, report.after.parameters
    ('PHConv2d', 38720, 11136)
    """
    if type(module) in _KINDS:
        name = type(module).__name__
        raise InvalidLayer(
            f"the module is itself a {name}, which cannot be replaced in place: use from_dense"
        )
    patterns = dict(spec) if isinstance(spec, Mapping) else {"*": spec}
    found = list(_layers(module))
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for names, _ in found for name in names):
            known = ", ".join(names[0] for names, _ in found) or "none"
            raise InvalidLayer(f"the pattern {pattern!r} matches no layer; the layers are {known}")
    tied = _tied(module)
    before = measured(module, example)
    changes, made = [], []
    for names, layer in found:
        choice = next((patterns[p] for p in patterns for name in names if fnmatchcase(name, p)), None)
        if choice is None:
            continue
        reason = _why_not(layer, tied)
        try:
            if reason is not None:
                raise InvalidLayer(reason)
            made.append((names, choice.replace(layer, trained)))
        except InvalidLayer as error:
            if strict:
                raise InvalidLayer(f"{names[0]}: {error}") from error
            reason = str(error)
        changes.append(Change.of(names[0], layer, made[-1][1] if reason is None else None, reason))
    for names, replacement in made:
        for name in names:
            parent, _, last = name.rpartition(".")
            setattr(module.get_submodule(parent), last, replacement)
    return Report(before, measured(module, example), tuple(changes))


def fold(module: nn.Module, *, inplace: bool = False) -> nn.Module:
    """Return a module whose compact layers are torch's own, dense ones with the same kernels.

    So that what knows torch's layers alone can follow: ONNX, quantisation, other libraries.

    Parameters
    ----------
    inplace
        Replace the layers of the module given, rather than of a copy.

    Examples
    --------
    >>> from torch import nn
    >>> network = nn.Sequential(hypercomplex.PHLinear(8, 4), nn.ReLU())
    >>> type(fold(network)[0]).__name__, type(network[0]).__name__
    ('Linear', 'PHLinear')
    """
    if isinstance(module, CompactLayer):
        return module.to_dense()
    folded = module if inplace else copy.deepcopy(module)
    dense: dict[CompactLayer, nn.Module] = {}
    for parent in list(folded.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, CompactLayer):
                if child not in dense:
                    dense[child] = child.to_dense()
                setattr(parent, name, dense[child])
        _shared_children(parent, dense)
    return folded


def _shared_children(parent: nn.Module, dense: Mapping[CompactLayer, nn.Module]) -> None:
    """Replace what `named_children` names once only: a layer that one parent holds under two names."""
    for name, child in parent._modules.items():
        if isinstance(child, CompactLayer):
            parent._modules[name] = dense[child]


def _layers(module: nn.Module) -> Iterator[tuple[list[str], nn.Module]]:
    """Linear layers and convolutions, or what derives from them, each with all of its names."""
    names: dict[nn.Module, list[str]] = {}
    for name, child in module.named_modules(remove_duplicate=False):
        if isinstance(child, _KINDS):
            names.setdefault(child, []).append(name)
    for layer, all_names in names.items():
        yield all_names, layer


def _tied(module: nn.Module) -> set[int]:
    """Identities of parameters that two modules hold."""
    seen: set[int] = set()
    twice: set[int] = set()
    for child in module.modules():
        for parameter in child._parameters.values():
            if parameter is not None:
                (twice if id(parameter) in seen else seen).add(id(parameter))
    return twice


def _why_not(layer: nn.Module, tied: set[int]) -> str | None:
    """Why a layer must stay what it is."""
    if type(layer) not in _KINDS:
        return (
            f"it is a {type(layer).__name__}, which may do more than the layer of torch that it derives from"
        )
    if {id(parameter) for parameter in layer.parameters()} & tied:
        return "another layer uses its parameters too"
    hooks = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    if any(getattr(layer, name, None) for name in hooks):
        return "it carries hooks, which would be lost"
    return None
