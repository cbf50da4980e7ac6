"""An Optuna objective as it stands in many a project: nothing in it knows of Tuner.

Run it by itself with ``python examples/objective/tune_digits.py``, or hand it to the service with
``tuner submit examples/objective/spec.yaml``.
"""

import optuna
import torch
from sklearn.datasets import load_digits
from torch import nn

EPOCHS = 8


def define_network(trial: optuna.Trial) -> nn.Sequential:
    """As many layers as are suggested, each of a width and a dropout of its own."""
    layers: list[nn.Module] = []
    inputs = 64
    for index in range(trial.suggest_int("n_layers", 1, 3)):
        width = trial.suggest_int(f"n_units_l{index}", 8, 128, log=True)
        layers += [nn.Linear(inputs, width), nn.ReLU()]
        layers.append(nn.Dropout(trial.suggest_float(f"dropout_l{index}", 0.0, 0.5)))
        inputs = width
    return nn.Sequential(*layers, nn.Linear(inputs, 10))


def objective(trial: optuna.Trial) -> float:
    """The accuracy on rows the network was not trained on."""
    torch.manual_seed(0)
    images, labels = load_digits(return_X_y=True)
    rows = torch.tensor(images, dtype=torch.float32) / 16
    classes = torch.tensor(labels)
    network = define_network(trial)
    kind = trial.suggest_categorical("optimizer", ["Adam", "RMSprop", "SGD"])
    lr = trial.suggest_float("lr", 1e-4, 1e-1, log=True)
    optimizer = getattr(torch.optim, kind)(network.parameters(), lr=lr)
    accuracy = 0.0
    for epoch in range(EPOCHS):
        network.train()
        for batch in torch.randperm(1400).split(64):
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(network(rows[batch]), classes[batch])
            loss.backward()
            optimizer.step()
        network.eval()
        with torch.no_grad():
            guessed = network(rows[1400:]).argmax(dim=1)
        accuracy = (guessed == classes[1400:]).float().mean().item()
        trial.report(accuracy, epoch)
        if trial.should_prune():
            raise optuna.TrialPruned
    trial.set_user_attr("parameters", sum(p.numel() for p in network.parameters()))
    return accuracy


if __name__ == "__main__":
    study = optuna.create_study(direction="maximize")
    study.optimize(objective, n_trials=20)
    print(study.best_value, study.best_params)
