"""Muon, the optimizer of the weight matrices, in fp32.

It moves each matrix along the nearest orthogonal matrix of its gradient's momentum, found by Newton-Schulz steps.
PyTorch's own runs those steps in bf16, which is slow on a CPU without bf16 instructions.
"""

import torch

# A quintic whose repeated use drives all singular values towards one (Keller Jordan's coefficients).
QUINTIC = (3.4445, -4.7750, 2.0315)
ROUNDS = 5


class Muon(torch.optim.Optimizer):
    """For 2-D parameters only. `lr` is the size of a step in the spectral norm."""

    def __init__(
        self, params: list[torch.nn.Parameter], lr: float, momentum: float = 0.95, decay: float = 0.01
    ) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum, "decay": decay})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:
        for group in self.param_groups:
            by_shape: dict[torch.Size, list[torch.nn.Parameter]] = {}
            for weight in group["params"]:
                by_shape.setdefault(weight.shape, []).append(weight)
            for weights in by_shape.values():
                self._move(weights, group)

    def _move(self, weights: list[torch.nn.Parameter], group: dict[str, float]) -> None:
        """One batched step for all matrices of one shape."""
        directions = []
        for weight in weights:
            momentum = self.state[weight].setdefault("momentum", torch.zeros_like(weight))
            momentum.lerp_(weight.grad, 1 - group["momentum"])
            directions.append(weight.grad.lerp(momentum, group["momentum"]))
        rows, columns = weights[0].shape
        scale = group["lr"] * max(1.0, rows / columns) ** 0.5
        for weight, direction in zip(weights, orthogonal(torch.stack(directions)), strict=True):
            weight.mul_(1 - group["lr"] * group["decay"]).add_(direction, alpha=-scale)


def orthogonal(matrices: torch.Tensor) -> torch.Tensor:
    """The nearest orthogonal matrices, roughly. Shape (batch, rows, columns), in and out."""
    tall = matrices.shape[-2] > matrices.shape[-1]
    x = matrices.mT if tall else matrices
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    linear, cubic, quintic = QUINTIC
    for _ in range(ROUNDS):
        gram = x @ x.mT
        x = linear * x + (cubic * gram + quintic * gram @ gram) @ x
    return x.mT if tall else x
