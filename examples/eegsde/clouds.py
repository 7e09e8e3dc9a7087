"""Molecule-like clouds: chains of atoms with bonds of one length, and QM9's files.

A cloud is (4, n, 1): positions of mean zero, then one number an atom (+1 and -1 in turn here, the
atomic number over ten for QM9). Its property is the squared radius of gyration.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor

NUMBERS = {"H": 1, "C": 6, "N": 7, "O": 8, "F": 9}


def chains(count: int, atoms: int = 6, seed: int = 0) -> Tensor:
    """(count, 4, atoms, 1): bonds of length 0.6; some chains are stiffer than others."""
    generator = torch.Generator().manual_seed(seed)
    stiff = 3 * torch.rand(count, 1, generator=generator)
    step = torch.randn(count, 3, generator=generator)
    places = [torch.zeros(count, 3)]
    for _ in range(atoms - 1):
        direction = torch.nn.functional.normalize(step, dim=1)
        places.append(places[-1] + 0.6 * direction)
        step = stiff * direction + torch.randn(count, 3, generator=generator)
    positions = torch.stack(places, 2)
    positions = positions - positions.mean(2, keepdim=True)
    signs = torch.tensor([1.0, -1.0]).repeat(atoms)[:atoms].expand(count, 1, atoms)
    return torch.cat([positions, signs], 1)[..., None]


def gyration(y: Tensor) -> Tensor:
    """Mean squared distance to the centre, (B,)."""
    positions = y[:, :3] - y[:, :3].mean(2, keepdim=True)
    return positions.square().sum(1).mean((1, 2))


def qm9(folder: str | Path) -> Iterator[Tensor]:
    """Each molecule of a folder of QM9's .xyz files, (4, n, 1) in angstrom; ValueError names a file
    that is none."""
    for path in sorted(Path(folder).glob("*.xyz")):
        lines = path.read_text().splitlines()
        try:
            count = int(lines[0])
            rows = [lines[2 + i].split() for i in range(count)]
            # some numbers are written as 1.2*^-6
            places = [[float(v.replace("*^", "e")) for v in row[1:4]] for row in rows]
            numbers = [[NUMBERS[row[0]] / 10] for row in rows]
        except (IndexError, KeyError, ValueError) as error:
            raise ValueError(f"{path} is no .xyz file of QM9 ({error})") from error
        cloud = torch.cat([torch.tensor(places), torch.tensor(numbers)], 1).T
        cloud[:3] -= cloud[:3].mean(1, keepdim=True)
        yield cloud[..., None]
