"""The networks of a photograph's planes in torch: for learning only."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from neuralcodec.photo.context import FINISHED, NEAR, inputs, kinds, places_of

ACTIVATION_MOST = 16383 / 256
SCALE_LEAST, SCALE_MOST = -9.0, 7.0
LOGIT_GAIN = 2.0
LEAST_ACTIVITY = 4
LOG_CENTRE, LOG_MOST = 6 << 7, 1024
TOTAL = 1 << 24


@dataclass(frozen=True)
class Sizes:
    """Sizes of the network of each plane.

    Attributes
    ----------
    hidden
        Units of both hidden layers, a multiple of 2.
    components
        Logistics in the mixture.
    fitted
        Whether local least squares are read, which adapt to the image as it is coded.
    online
        Which layers go on learning while an image is coded: 0 none, 1 those that give mixtures, 2 all.
    """

    hidden: int = 64
    components: int = 8
    fitted: bool = True
    online: int = 1


def median_edge(west: Tensor, north: Tensor, northwest: Tensor) -> Tensor:
    """Return the median edge detector of LOCO-I (Weinberger et al. 2000): integers of the neighbours' dtype."""
    low, high = torch.minimum(west, north), torch.maximum(west, north)
    return torch.minimum(torch.maximum(west + north - northwest, low), high)


def logarithm(x: Tensor) -> Tensor:
    """Return `log2(x)` of positive binary32 numbers, linear between powers of 2, in 1/128: their bits."""
    return (x.view(torch.int32) >> 16) - (127 << 7)


@dataclass(frozen=True)
class Context:
    """What is known of samples before they are coded.

    Attributes
    ----------
    inputs
        float32 (N, 2 n + kinds + 1) for n differences: these in activities, the logarithms of their sizes, those of
        the activities of each kind of neighbours, and that of the least-squares error; in steps of 1/128.
    prediction
        int32 (N,).
    activity
        float32 (N,): mean size of the differences near by.
    """

    inputs: Tensor
    prediction: Tensor
    activity: Tensor


def context_of(values: Tensor, fitted: Tensor, plane: int) -> Context:
    """Return the context of samples of a plane.

    Parameters
    ----------
    values
        int32 (N, places): the samples at all of :func:`places_of`.
    fitted
        int32 (N, 2): prediction and error of local least squares (:func:`neuralcodec.native.photo.regressions`).
    """
    at = {place: values[:, i] for i, place in enumerate(places_of(plane))}
    parts, activities, prediction = [], [], None
    for number, (one, to, places) in enumerate(kinds(plane)):
        v = torch.stack([at[one, *place] - (0 if to is None else at[to, *place]) for place in places], 1)
        west, north, northwest = (v[:, places.index(place)] for place in ((0, -1), (-1, 0), (-1, -1)))
        predicted = median_edge(west, north, northwest)
        d = v - predicted[:, None]
        near = d if places is FINISHED else d[:, NEAR]
        parts.append(d)
        activities.append(near.abs().sum(1) + LEAST_ACTIVITY)
        if number == 0:
            prediction = predicted if to is None else predicted + at[to, 0, 0]
    assert prediction is not None
    gain = 1024.0 / activities[0].to(torch.float32)
    z = (torch.cat(parts, 1).to(torch.float32) * gain[:, None]).clamp(-2048.0, 2048.0).trunc()
    z = torch.cat([z, fitted[:, :1].to(torch.float32)], 1)
    sizes = logarithm(z.abs() * 0.03125 + 1.0)
    logs = (logarithm(torch.stack(activities, 1).to(torch.float32)) - LOG_CENTRE).clamp_max(LOG_MOST)
    logs = torch.cat([sizes, logs, fitted[:, 1:]], 1).to(torch.float32)
    found = torch.cat([z, logs], 1) / 128
    return Context(found, prediction, activities[0].to(torch.float32) * 0.125)


@dataclass(frozen=True)
class Mixture:
    """Mixtures of logistics, base 2: logits, means and inverse scales, each (N, K)."""

    logits: Tensor
    means: Tensor
    inverses: Tensor


class PlaneNetwork(nn.Module):
    """Maps the context of a sample to its mixture: two hidden layers, and linear predictors for the means."""

    def __init__(self, plane: int, sizes: Sizes) -> None:
        super().__init__()
        self.plane, self.sizes = plane, sizes
        count, hidden, k = inputs(plane), sizes.hidden, sizes.components
        self.first = nn.Linear(2 * count + len(kinds(plane)) + 1, hidden)
        self.second = nn.Linear(hidden, hidden)
        self.last = nn.Linear(hidden, 3 * k)
        self.linear = nn.Linear(count, k, bias=False)
        with torch.no_grad():
            self.second.weight *= 0.5
            self.last.weight *= 0.2
            self.linear.weight.zero_()
            self.linear.weight[:, -1] = 0.5  # half-way from the median edge to the fit
            if (
                not sizes.fitted
            ):  # these inputs are 0: so should be what they are multiplied by, to cost nothing
                self.linear.weight[:, -1] = 0.0
                self.first.weight[:, [count - 1, 2 * count - 1, -1]] = 0.0
            bias = self.last.bias.view(3, k)
            bias[0] = 0.0
            bias[1] = torch.linspace(-0.25, 0.25, k)
            bias[2] = torch.linspace(2.0, -2.0, k)

    def forward(self, context: Context) -> Mixture:
        """Return the mixtures."""
        k, x = self.sizes.components, context.inputs
        h = self.first(x).clamp(0.0, ACTIVATION_MOST)
        h = h + self.second(h).clamp(0.0, ACTIVATION_MOST)
        out = self.last(h)
        means = out[:, k : 2 * k] + self.linear(x[:, : inputs(self.plane)])
        activity = context.activity[:, None]
        inverses = torch.exp2(out[:, 2 * k :].clamp(SCALE_LEAST, SCALE_MOST)) / activity
        return Mixture(out[:, :k] * LOGIT_GAIN, means * activity + context.prediction[:, None], inverses)


def code_length(mixture: Mixture, x: Tensor, depth: int = 8) -> Tensor:
    """Return the bits of each sample x of a depth under its mixture, as coded but for rounding, (N,)."""
    levels = 1 << depth
    weights = torch.softmax(mixture.logits * math.log(2), 1)
    inverse = mixture.inverses * math.log(2)
    centred = x[:, None].to(torch.float32) - mixture.means
    low = torch.sigmoid((centred - 0.5) * inverse)
    high = torch.sigmoid((centred + 0.5) * inverse)
    low = torch.where((x == 0)[:, None], torch.zeros_like(low), low)
    high = torch.where((x == levels - 1)[:, None], torch.ones_like(high), high)
    p = (weights * (high - low)).sum(1).clamp_min(0.0)
    return -torch.log2(p * (1 - levels / TOTAL) + 1 / TOTAL)
