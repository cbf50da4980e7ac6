"""Copies of a training's tensors in one piece of memory, which is used again."""

from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor

from models.packed import Packed, pack
from models.sealed import seal, unpack
from models.training.checkpoint import Sealer, open_checkpoint
from tests.checkpoints import make_checkpoint, make_epoch


def of_all_kinds() -> dict[str, Tensor]:
    return {
        "flags": torch.tensor([True, False, True]),
        "half": torch.rand(3).bfloat16(),
        "learns": torch.rand(3, 4, requires_grad=True),
        "channels last": torch.rand(2, 3, 4, 5).to(memory_format=torch.channels_last),
        "number": torch.tensor(5),
        "nothing": torch.empty(2, 0, 3),
    }


def same(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(
        one[name].dtype == other[name].dtype and torch.equal(one[name], other[name]) for name in one
    )


def test_a_copy_stays_what_the_tensors_were() -> None:
    tensors = {"weight": torch.zeros(3), "steps": torch.tensor(1)}
    copy = pack(tensors)
    tensors["weight"] += 1
    assert copy["weight"].tolist() == [0, 0, 0]
    assert copy["steps"].item() == 1


def test_a_copy_has_tensors_of_all_kinds_and_nothing_learns_in_it() -> None:
    tensors = of_all_kinds()
    copy = pack(tensors)
    assert same(copy, tensors)
    assert not any(tensor.requires_grad for tensor in copy.values())


def test_the_memory_of_a_copy_is_used_again() -> None:
    former = pack({"weight": torch.zeros(3)})
    place = former["weight"].data_ptr()
    copy = pack({"weight": torch.ones(3)}, into=former)
    assert copy["weight"].tolist() == [1, 1, 1]
    assert copy["weight"].data_ptr() == place


def test_memory_that_does_not_fit_stays_as_it_is() -> None:
    former = pack({"weight": torch.zeros(3)})
    others: list[dict[str, Tensor]] = [
        {"weight": torch.ones(4)},
        {"weight": torch.ones(3, dtype=torch.float64)},
        {"bias": torch.ones(3)},
        {"weight": torch.ones(3), "bias": torch.ones(3)},
        {},
    ]
    for tensors in others:
        assert same(pack(tensors, into=former), tensors)
    assert former["weight"].tolist() == [0, 0, 0]


def test_a_file_is_the_same_whether_its_tensors_lie_together_or_apart() -> None:
    tensors = of_all_kinds()
    together, apart = seal(pack(tensors), {"fact": 1}), seal(tensors, {"fact": 1})
    assert b"".join(together) == b"".join(apart)
    assert len(together) == 2, "the header, and all tensors in one"
    assert same(unpack(b"".join(together))[0], tensors)


def test_a_file_without_tensors_is_read_back() -> None:
    assert unpack(b"".join(seal(Packed({}), {"fact": 1}))) == ({}, {"fact": 1})


def test_a_checkpoint_that_follows_others_is_sealed_as_if_it_were_the_first() -> None:
    curve = [{"val_loss": 1.0 / step, "zero": -0.0} for step in range(1, 5)]
    sealer = Sealer()
    for number, metrics in [(1, curve[:1]), (3, curve[:3]), (4, curve), (2, [curve[0], curve[2]])]:
        checkpoint = replace(make_checkpoint(number), curve=metrics)
        data = b"".join(sealer.seal(checkpoint))
        assert data == b"".join(Sealer().seal(checkpoint))
        opened = open_checkpoint(data, "name")
        assert (opened.epoch, opened.step, opened.curve) == (number, number * 10, metrics)


def test_a_sealer_takes_the_checkpoints_of_another_training_for_what_they_are() -> None:
    sealer, checkpoint = Sealer(), make_checkpoint(1)
    sealer.seal(checkpoint)
    other = replace(checkpoint, recipe=replace(checkpoint.recipe, seed=7), fingerprint="g")
    opened = open_checkpoint(b"".join(sealer.seal(other)), "name")
    assert (opened.recipe, opened.fingerprint) == (other.recipe, "g")


def test_an_epoch_s_checkpoint_is_a_copy_and_its_state_is_none() -> None:
    epoch = make_epoch(1)
    live = epoch.state().tensors["model.weight"]
    first = epoch.checkpoint()
    before = live.clone()
    live += 1
    assert torch.equal(first.tensors["model.weight"], before)
    again = epoch.checkpoint(first)
    assert again.tensors is first.tensors
    assert torch.equal(again.tensors["model.weight"], live)
