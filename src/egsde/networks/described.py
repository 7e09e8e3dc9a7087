"""Networks that a file of others describes, made only as large as the weights that came with it.

A description may come from anyone, so whatever goes wrong is told as a ValueError, and no memory is
taken before names and shapes agree.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from egsde.networks.files import at_most
from egsde.networks.official import check_fit


def described(
    make: Callable[[], nn.Module],
    weights: Mapping[str, Tensor] | Callable[[nn.Module], Mapping[str, Tensor]],
    count: int,
    what: str,
) -> nn.Module:
    """The network of `make` with these weights as float32, frozen.

    weights: or what names them for the network, which has no memory yet. count: of the tensors in
    the file; more parameters are not made. what: the network, for messages. ValueError where it
    cannot be made.
    """
    try:
        with at_most(count), torch.device("meta"):
            net = make()
    except ValueError:
        raise
    except Exception as error:  # whatever a class says to settings that it does not take
        reason = " ".join(str(error).split())[:300]
        raise ValueError(f"{what} cannot be made: {reason}") from error
    state = weights(net) if callable(weights) else weights
    check_fit(net.state_dict(), state, what)
    net = net.to_empty(device="cpu")
    net.load_state_dict({k: v.float() if v.is_floating_point() else v for k, v in state.items()})
    return net.eval().requires_grad_(False)
