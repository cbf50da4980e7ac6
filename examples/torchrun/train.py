"""Digits, learned by several processes as one: ``torchrun --nproc_per_node=2 train.py``.

It needs no service. As a trial of one it is judged, saves when it is told to end, and goes on from
there.
"""

import argparse
import os
import signal
from pathlib import Path

import torch
import torch.distributed as dist
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.nn.parallel import DistributedDataParallel

from tuner import report

told_to_end = False


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--lr", type=float, default=0.1)
    options.add_argument("--width", type=int, default=32)
    options.add_argument("--epochs", type=int, default=5)
    options.add_argument("--checkpoint-dir", type=Path, default=Path("."))
    chosen = options.parse_args()
    signal.signal(signal.SIGTERM, remember)
    dist.init_process_group("gloo")
    try:
        train(chosen)
    finally:
        dist.destroy_process_group()


def remember(*_: object) -> None:
    """On SIGTERM the epoch is finished and saved; torchrun passes the signal on to all."""
    global told_to_end
    told_to_end = True


def train(chosen: argparse.Namespace) -> None:
    torch.manual_seed(int(os.environ.get("TUNER_SEED", "0")))
    rows, classes = (torch.from_numpy(part) for part in load_digits(return_X_y=True))
    rows = rows.float() / 16
    mine = slice(dist.get_rank(), 1400, dist.get_world_size())
    network = nn.Sequential(nn.Linear(64, chosen.width), nn.ReLU(), nn.Linear(chosen.width, 10))
    together = DistributedDataParallel(network)
    optimizer = torch.optim.SGD(together.parameters(), lr=chosen.lr, momentum=0.9)
    file = chosen.checkpoint_dir / "newest.pt"
    done = load(file, network, optimizer)
    for epoch in range(done + 1, chosen.epochs + 1):
        for part in torch.randperm(len(rows[mine])).split(64):
            optimizer.zero_grad()
            cross_entropy(together(rows[mine][part]), classes[mine][part]).backward()
            optimizer.step()
        save(file, network, optimizer, epoch)
        report(step=epoch, val_loss=loss_of(network, rows[1400:], classes[1400:]))
        if anybody_told_to_end():
            return


def loss_of(network: nn.Module, rows: Tensor, classes: Tensor) -> float:
    with torch.no_grad():
        return float(cross_entropy(network(rows), classes))


def anybody_told_to_end() -> bool:
    """Of all processes, so that all end after the same epoch."""
    told = torch.tensor(int(told_to_end))
    dist.all_reduce(told, dist.ReduceOp.MAX)
    return bool(told)


def load(file: Path, network: nn.Module, optimizer: torch.optim.Optimizer) -> int:
    """The epochs that are done."""
    if not file.exists():
        return 0
    saved = torch.load(file, weights_only=True)
    network.load_state_dict(saved["network"])
    optimizer.load_state_dict(saved["optimizer"])
    return int(saved["epoch"])


def save(file: Path, network: nn.Module, optimizer: torch.optim.Optimizer, epoch: int) -> None:
    """In one step: whoever is killed meanwhile leaves the file before."""
    if dist.get_rank() == 0:
        state = {"network": network.state_dict(), "optimizer": optimizer.state_dict()}
        torch.save({**state, "epoch": epoch}, file.with_suffix(".part"))
        file.with_suffix(".part").replace(file)


if __name__ == "__main__":
    main()
    # Gloo's threads outlive the group, and one in so many orderly ends of Python aborts for them.
    os._exit(0)
