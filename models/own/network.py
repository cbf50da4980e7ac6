"""A network of one's own: its class, what is searched of it, what it costs, and how it is built."""

import inspect
from collections.abc import Iterator, Mapping
from math import prod
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.nn.parameter import UninitializedParameter

from models.catalog import DataShape, Layer
from models.hyperparameters import Config, Hyperparameter
from models.importing import PartRefused, load_others
from models.own.arguments import Argument, arguments_of
from models.own.filling import missing, value_of

#: Rows of a forward pass that only looks what comes out: batch normalisation wants two.
_ROWS: Final = 2
#: Parameters of a network that is built on the CPU where the meta device does not carry it.
_MOST_BUILT: Final = 20_000_000


def hyperparameters(path: str, shape: DataShape) -> tuple[Hyperparameter, ...]:
    """What is searched of the class's arguments, as `models.own.ranges` has it.

    Raises:
        PartRefused: it is not there, or no network.
    """
    found = (_hyperparameter(path, argument) for argument in _arguments(path))
    return tuple(hyperparameter for hyperparameter in found if hyperparameter is not None)


def others(path: str, shape: DataShape) -> dict[str, bool]:
    """What else a space may give the class, and whether it must, as neither a default nor the data
    does.

    Raises:
        PartRefused: it is not there, or no network.
    """
    return {
        argument.in_space: argument.required and _filled(argument, shape) is None
        for argument in _arguments(path)
        if _hyperparameter(path, argument) is None
    }


def layers(path: str, config: Config, shape: DataShape) -> Iterator[Layer]:
    """The cost of each module of the network, and what those within it leave for an example.

    Raises:
        PartRefused: nothing can be built with `config`, or what comes out is no answer.
    """
    try:
        with torch.device("meta"):
            module = _constructed(path, config, shape)
            try:
                return iter(_layers(module, _activations(path, module, shape)))
            except Exception:
                if _size_of(module) > _MOST_BUILT:
                    # Nobody looks what comes out; each number is used once at least.
                    return iter(
                        _layers(module, {name: _size_of(part) for name, part in _parts(module)})
                    )
    except Exception:  # what the meta device cannot do, or what is wrong: a CPU tells which
        pass
    with torch.random.fork_rng(devices=()):
        module = _constructed(path, config, shape)
        return iter(_layers(module, _activations(path, module, shape)))


def build(path: str, config: Config, shape: DataShape) -> nn.Module:
    """The network, its weights as its constructor draws them; what it answers is looked at.

    Raises:
        PartRefused: it is not there, no network, or nothing can be built with `config`.
    """
    module = _constructed(path, config, shape)
    module.register_forward_pre_hook(_in_order)
    module.register_forward_hook(_Answers(path, shape))
    return module


def arguments(path: str, config: Config, shape: DataShape) -> dict[str, Any]:
    """What of `config` the network is built with, defaults included; named as in a space."""
    known = {h.name: config.get(h.name, h.default) for h in hyperparameters(path, shape)}
    return known | {name: config[name] for name in others(path, shape) if name in config}


def names(path: str) -> frozenset[str]:
    """What a space may call the arguments of the class.

    Raises:
        PartRefused: it is not there, or no network.
    """
    return frozenset(argument.in_space for argument in _arguments(path))


class _Answers:
    """Looks at what a network answers: a number for each class, or one."""

    def __init__(self, path: str, shape: DataShape) -> None:
        self._path = path
        self._numbers = not shape.classes
        self._each = (
            (shape.outputs, *shape.input_shape) if shape.kind == "text" else (shape.outputs,)
        )

    def __call__(self, module: nn.Module, inputs: tuple[Any, ...], outputs: Any) -> Tensor:
        if not isinstance(outputs, Tensor):
            raise PartRefused(
                f"{self._path} answers a {type(outputs).__name__}; a network answers one tensor."
            )
        if self._numbers and outputs.dim() == 1:
            return outputs.unsqueeze(1)
        if tuple(outputs.shape[1:]) != self._each:
            wish = ", ".join(map(str, ("batch", *self._each)))
            raise PartRefused(
                f"{self._path} answers {tuple(outputs.shape)} for a batch of {len(inputs[0])}; the "
                f"loss takes ({wish}). An argument called num_classes is given their number."
            )
        return outputs


def _in_order(module: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """Rows as they lie in memory by default: a `view` of theirs wants that."""
    return tuple(rows.contiguous() for rows in inputs)


def _class(path: str) -> type[nn.Module]:
    part = load_others(path)
    if not (inspect.isclass(part) and issubclass(part, nn.Module)):
        what = "no subclass of torch.nn.Module" if inspect.isclass(part) else "no class"
        raise PartRefused(f"{path} is {what}; name a class of networks, as in mypkg.nets:MyNet.")
    return part


def _arguments(path: str) -> tuple[Argument, ...]:
    part = _class(path)
    try:
        return arguments_of(part)
    except ValueError as error:
        raise PartRefused(f"{path} cannot be built: {error}; correct its constructor.") from error


def _hyperparameter(path: str, argument: Argument) -> Hyperparameter | None:
    try:
        return argument.hyperparameter
    except ValueError as error:
        raise PartRefused(f"{path}: {error}; correct the annotation or the default.") from error


def _filled(argument: Argument, shape: DataShape) -> Any:
    return value_of(argument.name, shape) if argument.filled else None


def _constructed(path: str, config: Config, shape: DataShape) -> nn.Module:
    part, given = _class(path), _given(path, config, shape)
    try:
        module = part(**given)
        if any(isinstance(p, UninitializedParameter) for p in module.parameters()):
            module(_rows(shape))  # lazy modules learn their sizes so
    except Exception as error:
        raise PartRefused(
            f"{path} cannot be built with {_in_words(given)}: {_line(error)}"
        ) from error
    return module


def _given(path: str, config: Config, shape: DataShape) -> dict[str, Any]:
    """What the constructor gets: of the configuration, of the data, and what has no default."""
    given: dict[str, Any] = {}
    for argument in _arguments(path):
        name, searched = argument.in_space, _hyperparameter(path, argument)
        if name in config:
            try:
                given[argument.name] = argument.taken(config[name])
            except ValueError as error:
                raise PartRefused(f"{path}: {error}.") from error
        elif (value := _filled(argument, shape)) is not None:
            given[argument.name] = value
        elif argument.required and searched is not None:
            given[argument.name] = argument.taken(searched.default)
        elif argument.required:
            raise PartRefused(missing(path, name, shape.kind))
    return given


def _parts(module: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    yield from module.named_children()


def _size_of(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def _layers(module: nn.Module, activations: Mapping[str, int]) -> list[Layer]:
    """A layer for each child, and one for what is the module's own; a weight that several share
    counts for the first of them."""
    seen: set[int] = set()

    def parameters(part: nn.Module, *, recurse: bool = True) -> int:
        new = {id(p): p.numel() for p in part.parameters(recurse) if id(p) not in seen}
        seen.update(new)
        return sum(new.values())

    found = [("own", parameters(module, recurse=False))]
    found += [(name, parameters(part)) for name, part in _parts(module)]
    return [
        Layer(name=name, parameters=size, flops=2 * size, activations=activations.get(name, 0))
        for name, size in found
    ]


def _activations(path: str, module: nn.Module, shape: DataShape) -> dict[str, int]:
    """Numbers that the modules within each child leave for one example, learnt from one pass.

    Raises:
        PartRefused: the pass raises, or its answer has another shape than the loss takes.
    """
    found: dict[str, int] = {}

    def counting(child: str) -> Any:
        def count(_module: nn.Module, _inputs: Any, outputs: Any) -> None:
            if isinstance(outputs, tuple):
                outputs = outputs[0]  # a recurrent layer's, without its last state
            if isinstance(outputs, Tensor):
                found[child] = found.get(child, 0) + outputs.numel() // _ROWS

        return count

    handles = [
        part.register_forward_hook(counting(name))
        for name, child in _parts(module)
        for part in child.modules()
        if not any(part.children())
    ]
    rows = _rows(shape)
    try:
        with torch.no_grad():
            outputs = module(rows)
    except Exception as error:
        raise PartRefused(
            f"{path} raises in its forward for examples of {tuple(shape.input_shape)}: "
            f"{_line(error)}"
        ) from error
    finally:
        for handle in handles:
            handle.remove()
    answer = _Answers(path, shape)(module, (rows,), outputs)
    if len(answer) != _ROWS:
        raise PartRefused(
            f"{path} answers {tuple(answer.shape)} for {_ROWS} examples; an answer has a row for "
            "each of them."
        )
    found["own"] = prod(answer.shape[1:])
    return found


def _rows(shape: DataShape) -> Tensor:
    kind = torch.int64 if shape.kind == "text" else torch.float32
    return torch.zeros(_ROWS, *shape.input_shape, dtype=kind)


def _in_words(given: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} = {value!r}" for name, value in given.items()) or "no arguments"


def _line(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".strip().partition("\n")[0]
