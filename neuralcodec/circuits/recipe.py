"""What a training run is made of: a recipe that stands in the model's header, and its plan of growth stages."""

from dataclasses import asdict, dataclass
from typing import Any, Literal

from neuralcodec.circuits.structure import BLOCK
from neuralcodec.errors import UnsupportedInput


@dataclass(frozen=True)
class Recipe:
    """How to train a circuit; two runs of one recipe, seed and thread count give the same model.

    Attributes:
        latents: states of every latent node at the end.
        epochs: passes over the training signals, spread over the stages of growth.
        epoch_signals: of more signals than that, an epoch takes the next so many, and a pass several epochs.
        structure: "hclt" (a Chow-Liu tree of latents), "hmm" (a chain) or "binary" (a balanced binary tree).
        emission: "shared" (mixtures of a basis that all samples share) or "free".
        basis: distributions in the shared basis.
        transitions: entries kept in the transitions of an edge, on average over the edges; None: all of them.
        start_latents: states of the first stage; each stage has at most twice the states of the one before.
        batch: signals in a mini-batch.
        first_rate, last_rate: step size of stepwise EM at the start and end of a stage, falling geometrically.
        growth_noise: standard deviation of the log-normal noise that sets doubled states apart.
        pseudocount: signals' worth of uniform counts added to every distribution.
        mi_bins, mi_samples: histogram bins and signals of the mutual information estimate.
        validation: signals held out for the choice of the best epoch; below 1 a fraction.
        patience: a stage ends after this many epochs without a better validation likelihood.
        seed: of everything random.
    """

    latents: int = 128
    epochs: int = 24
    epoch_signals: int = 60_000
    structure: Literal["hclt", "hmm", "binary"] = "hclt"
    emission: Literal["shared", "free"] = "shared"
    basis: int = 64
    transitions: int | None = 4096
    start_latents: int = 16
    batch: int = 256
    first_rate: float = 0.3
    last_rate: float = 0.02
    growth_noise: float = 0.3
    pseudocount: float = 0.3
    mi_bins: int = 8
    mi_samples: int = 2000
    validation: float = 0.0833
    patience: int = 3
    seed: int = 0

    def __post_init__(self) -> None:
        checks = {
            "latents": 1 <= self.latents <= 4096,
            "epochs": self.epochs >= 1,
            "epoch_signals": self.epoch_signals >= 1,
            "structure": self.structure in ("hclt", "hmm", "binary"),
            "emission": self.emission in ("shared", "free"),
            "basis": 1 <= self.basis <= 4096,
            "transitions": self.transitions is None or self.transitions >= BLOCK**2,
            "start_latents": self.start_latents >= 1,
            "batch": self.batch >= 1,
            "first_rate": 0 < self.first_rate <= 1,
            "last_rate": 0 < self.last_rate <= self.first_rate,
            "growth_noise": self.growth_noise > 0,
            "pseudocount": self.pseudocount > 0,
            "mi_bins": self.mi_bins >= 2,
            "mi_samples": self.mi_samples >= 2,
            "validation": self.validation >= 0,
            "patience": self.patience >= 1,
        }
        for name, holds in checks.items():
            if not holds:
                raise UnsupportedInput(f"training recipe: {name} cannot be {getattr(self, name)!r}")

    def to_json(self) -> dict[str, Any]:
        """Return the recipe as the JSON object that the model's header keeps."""
        return asdict(self)

    def stages(self) -> list[tuple[int, int]]:
        """(states, epochs) of each stage: states double up to `latents`, later stages get more epochs.

        >>> Recipe(latents=64, epochs=15).stages()
        [(16, 4), (32, 5), (64, 6)]
        """
        states = [min(self.start_latents, self.latents)]
        while states[-1] < self.latents:
            states.append(min(2 * states[-1], self.latents))
        states = states[-self.epochs :]
        weights = [1.25**stage for stage in range(len(states))]
        ends = [round(self.epochs * sum(weights[: i + 1]) / sum(weights)) for i in range(len(states))]
        ends = [max(end, i + 1) for i, end in enumerate(ends)]
        ends[-1] = self.epochs
        return list(zip(states, [b - a for a, b in zip([0, *ends], ends, strict=False)], strict=True))

    def kept_before_growth(self, states: int, grown: int) -> float:
        """Entries an edge keeps when `states` are about to become `grown`: twice `transitions` will be there then."""
        if self.transitions is None:
            return float("inf")
        return 2 * self.transitions * (states / grown) ** 2

    def kept_after(self, epoch: int, epochs: int) -> float:
        """Entries an edge keeps when `epoch` of a stage's `epochs` is done: the new states need time to part first."""
        if self.transitions is None or epoch != max(1, epochs // 4):
            return float("inf")
        return float(self.transitions)

    def rate(self, progress: float) -> float:
        """Step size at a stage's progress from 0 to 1."""
        return float(self.first_rate * (self.last_rate / self.first_rate) ** progress)
