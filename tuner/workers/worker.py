"""A worker from its fork to its end: settle, take an order, conduct it, say how it ended, exit."""

import gc
import os
import shutil
import signal
import socket
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Final, NoReturn, TextIO

import numpy as np
import torch
from threadpoolctl import threadpool_limits

from tuner.protocol import ChannelClosed, StartAttempt, keeps_worker
from tuner.workers import kernel
from tuner.workers.conduct import conduct
from tuner.workers.frames import WorkerChannel

#: Below the api and the scheduler, which must answer while every core trains.
NICENESS: Final = 5
#: Before anything else of ours, memory is taken from a worker.
OOM_CLAIM: Final = 500


def main(channel: socket.socket, log: int, scratch: Path, parent: int) -> NoReturn:
    """Live as a worker in this freshly forked process; `log` takes its stdout and stderr."""
    _settle(log, scratch, parent)
    line = WorkerChannel(channel)
    with suppress(ChannelClosed):  # the executor is gone, and so shall we be
        while _serve(line, scratch):
            pass
    os._exit(0)  # taking PyTorch down in order costs more than many a short trial


def _settle(log: int, scratch: Path, parent: int) -> None:
    os.setsid()  # a process group to kill as one, which no key of the terminal reaches
    kernel.end_with_parent(signal.SIGKILL, parent)
    kernel.adopt_orphans()
    kernel.offer_to_oom_killer(OOM_CLAIM)
    kernel.give_way(NICENESS)
    sys.stdout, sys.stderr = _print_to(log, 1), _print_to(log, 2)
    os.close(log)
    os.environ["TMPDIR"] = str(scratch)
    tempfile.tempdir = None  # read TMPDIR again


def _print_to(log: int, stream: int) -> TextIO:
    os.dup2(log, stream)
    # line by line, so that the last words of a crash are in the log
    return open(stream, "w", 1, encoding="utf-8", errors="backslashreplace", closefd=False)


def _serve(line: WorkerChannel, scratch: Path) -> bool:
    """Conduct the next attempt; whether to wait for another."""
    order = _next_order(line)
    _equip(order)
    scratch.mkdir(parents=True, exist_ok=True)
    device = "cuda:0" if order.gpus else "cpu"
    if order.lanes > 1:
        # What trains is imported by the fork server after it has settled torch's threads.
        from tuner.workers.lanes import serve_lanes

        serve_lanes(order, line, scratch=scratch, device=device)
    ended = conduct(order, line, scratch=scratch, device=device)
    _flush()
    if order.foreign:
        kernel.end_children()  # before its end is told: nothing of it holds the slot any more
    shutil.rmtree(scratch, ignore_errors=True)
    line.send(ended)
    if not keeps_worker(order, ended):
        return False
    gc.collect()
    return True


def _next_order(line: WorkerChannel) -> StartAttempt:
    while not isinstance(message := line.receive(), StartAttempt):
        pass  # meant for an attempt that has ended
    return message


def _equip(order: StartAttempt) -> None:
    torch.set_num_threads(order.threads)
    if order.ground is not None and order.threads > 1:
        threadpool_limits(order.threads)  # of BLAS, which began with one
    os.environ["OMP_NUM_THREADS"] = str(order.threads)  # for commands the program starts
    os.environ["CUDA_DEVICE_ORDER"] = "PCI_BUS_ID"  # the inventory's order
    os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(map(str, order.gpus))
    # Who draws without a seed would draw the fork server's numbers, as would all other workers.
    torch.default_generator.seed()
    if order.foreign:
        np.random.seed()


def _flush() -> None:
    for text in (sys.stdout, sys.stderr):
        text.flush()
    kernel.flush_c_streams()
