"""One autograd function for a linear layer with its LoRA: x W' + scale (x A') B'.

PEFT's own path makes the low-rank product, scales it and adds it in three passes over the output, keeps
a copy of the input after dropout, and casts the input to float32 beside a bf16 base. Here the product is added
into the base's output, the input is kept once, and dropout keeps one byte a value. PEFT's modules,
parameter names and saving stay as they are.
"""

from __future__ import annotations

from types import MethodType
from typing import Any

import torch
from torch.nn import functional as F


class _LoRALinear(torch.autograd.Function):
    """Gradients for x, A and B; W and bias are frozen."""

    @staticmethod
    def forward(
        ctx: Any,
        x: torch.Tensor,
        weight: torch.Tensor,
        bias: torch.Tensor | None,
        a: torch.Tensor,
        b: torch.Tensor,
        scale: float,
        dropout: float,
    ) -> torch.Tensor:
        flat = x.reshape(-1, x.shape[-1])
        kept = torch.rand(flat.shape, device=x.device) >= dropout if dropout else None
        seen = flat if kept is None else flat * kept * (1 / (1 - dropout))
        low = seen @ a.to(x.dtype).t()
        out = F.linear(flat, weight, bias)
        out.addmm_(low, b.to(x.dtype).t(), alpha=scale)
        ctx.save_for_backward(flat, weight, a, b, low, kept)
        ctx.scale, ctx.dropout = scale, dropout
        return out.view(*x.shape[:-1], out.shape[-1])

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        flat, weight, a, b, low, kept = ctx.saved_tensors
        shape = gradients[0].shape
        grad = gradients[0].reshape(-1, shape[-1])
        grad_low = (grad @ b.to(grad.dtype)).mul_(ctx.scale)
        grad_b = (grad.t() @ low).to(b.dtype).mul_(ctx.scale)
        seen = flat if kept is None else flat * kept * (1 / (1 - ctx.dropout))
        grad_a = (grad_low.t() @ seen).to(a.dtype)
        grad_x = None
        if ctx.needs_input_grad[0]:
            grad_x = grad @ weight
            if kept is None:
                grad_x.addmm_(grad_low, a.to(grad.dtype))
            else:
                grad_x += (grad_low @ a.to(grad.dtype)) * kept * (1 / (1 - ctx.dropout))
            grad_x = grad_x.view(*shape[:-1], flat.shape[-1])
        return grad_x, None, None, grad_a, grad_b, None, None


def _forward(module: Any, x: torch.Tensor, *_: Any, **__: Any) -> torch.Tensor:
    base, name = module.base_layer, module.active_adapters[0]
    dropout = module.lora_dropout[name]
    p = dropout.p if module.training and isinstance(dropout, torch.nn.Dropout) else 0.0
    a, b = module.lora_A[name].weight, module.lora_B[name].weight
    return _LoRALinear.apply(x, base.weight, base.bias, a, b, module.scaling[name], p)


def fuse_lora(peft_model: Any) -> int:
    """Gives PEFT's LoRA layers over plain linear layers this forward pass; returns how many.

    Quantised layers (bitsandbytes) keep PEFT's own.
    """
    from peft.tuners.lora import Linear

    fused = 0
    for module in peft_model.modules():
        if isinstance(module, Linear) and type(module.base_layer) is torch.nn.Linear:
            module.forward = MethodType(_forward, module)  # type: ignore[method-assign]
            fused += 1
    return fused
