"""Which networks a pool serves for us, and the tensors that they take and give. All are FP32.

``deploy/triton/model_repository`` serves exactly these. A pool whose model has other tensors is never sent a photo. To
add a network: an entry here, a folder there, and the method of ``PoolNetworks`` that asks for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

ANY = -1
"""A dimension of any size, as the protocol writes it."""
DATATYPE = "FP32"
STYLES = 26


@dataclass(frozen=True, slots=True)
class Tensor:
    """shape: the batch first."""

    name: str
    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Model:
    """name: the one that pools serve it by. A batch's elements are independent of each other."""

    name: str
    inputs: tuple[Tensor, ...]
    output: Tensor


CUT_OUT = Model(
    "cut_out",
    inputs=(Tensor("image", (ANY, 3, 320, 320)),),
    output=Tensor("saliency", (ANY, 1, 320, 320)),
)
STYLIZE = Model(
    "stylize",
    inputs=(Tensor("image", (ANY, 3, ANY, ANY)), Tensor("style_weights", (ANY, STYLES))),
    output=Tensor("stylized", (ANY, 3, ANY, ANY)),
)
MODELS: Mapping[str, Model] = MappingProxyType({model.name: model for model in (CUT_OUT, STYLIZE)})
