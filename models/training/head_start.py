"""Where a network begins: at the answer that knows the targets and no inputs.

Karpathy, "A Recipe for Training Neural Networks" (2019), "init well": a network that begins
elsewhere spends its first steps on one number.
"""

from torch import Tensor, nn

from models.entries import loss_entry
from models.importing import is_import_path


def give_head_start(model: nn.Module, loss: str, labels: Tensor) -> None:
    """Set the bias of the network's last layer, its `head`, to the best constant answer.

    `labels` are those of the training rows. Only rates, whose logarithm is learned, begin far from
    it: standardised numbers have it at zero, where heads begin. The classes' prior (Lin et al.,
    arXiv:1708.02002, section 3.3) lowered the loss of the first epochs where one class was rare,
    and made a convnet rank worse: it is not set.
    """
    if is_import_path(loss) or loss_entry(loss).link != "log":
        return
    head, mean = getattr(model, "head", None), labels.mean()
    # A network of one's own may have no layer of this name.
    if isinstance(head, nn.Linear) and head.bias is not None and mean > 0:
        nn.init.constant_(head.bias, mean.log().item())
