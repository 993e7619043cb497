"""A small residual network for images of 28 x 28, real or hypercomplex."""

import copy

import torch
from torch import Tensor, nn

from neuralcodec.layers import Hypercomplex, Report, compact


class Block(nn.Module):
    """Two convolutions about which the input goes (He et al., arXiv:1512.03385)."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(outputs)
        self.past = nn.Identity()
        if stride != 1 or inputs != outputs:
            self.past = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
            )

    def forward(self, x: Tensor) -> Tensor:
        """`(batch, inputs, height, width)` to `outputs` channels."""
        y = torch.relu(self.norm1(self.conv1(x)))
        return torch.relu(self.norm2(self.conv2(y)) + self.past(x))


def network(n: int, width: int, blocks: int) -> tuple[nn.Sequential, Report]:
    """A residual network of three stages, and what became of its layers.

    Parameters
    ----------
    n
        1 for a real network; else its convolutions are hypercomplex, the first and the classifier apart: one channel,
        and ten classes, are no components.
    width
        Channels of the first stage, of 14 x 14; the others have two and four times as many, each at half the
        resolution of the one before.
    """
    stages = []
    inputs = width
    for stage in range(3):
        outputs = width * 2**stage
        for block in range(blocks):
            stages.append(Block(inputs, outputs, 2 if stage and not block else 1))
            inputs = outputs
    made = nn.Sequential(
        nn.Conv2d(1, width, 5, 2, 2, bias=False),
        nn.BatchNorm2d(width),
        nn.ReLU(),
        nn.Sequential(*stages),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(inputs, 10),
    )
    for module in made.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
    # what comes out has its channels last, and so has all that follows: a quarter less time with so few channels
    made[0].to(memory_format=torch.channels_last)
    choice = None if n == 1 else Hypercomplex(n=n, nonlinearity="relu")
    return made, compact(made, {"3.*": choice}, example=torch.zeros(1, 1, 28, 28), strict=True)


class Affine(nn.Module):
    """What a batch norm is in evaluation: a scale and a shift of each channel."""

    def __init__(self, norm: nn.BatchNorm2d) -> None:
        super().__init__()
        assert norm.running_mean is not None
        assert norm.running_var is not None
        scale = norm.weight.detach() / torch.sqrt(norm.running_var + norm.eps)
        self.scale = nn.Parameter(scale)
        self.shift = nn.Parameter(norm.bias.detach() - norm.running_mean * scale)

    def forward(self, x: Tensor) -> Tensor:
        """`(batch, channels, height, width)`."""
        return x * self.scale[:, None, None] + self.shift[:, None, None]


def for_inference(model: nn.Module) -> nn.Module:
    """A copy with scales and shifts in the place of norms."""
    model = copy.deepcopy(model).eval()
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.BatchNorm2d):
                setattr(parent, name, Affine(child))
    return model
