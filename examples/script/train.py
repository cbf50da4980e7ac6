"""A script with a command line of its own; one line of it, ``report``, is for the service."""

import argparse

from sklearn.datasets import load_wine
from sklearn.linear_model import SGDClassifier
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

from tuner import report


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--alpha", type=float, default=1e-4)
    options.add_argument("--penalty", choices=["l1", "l2"], default="l2")
    options.add_argument("--epochs", type=int, default=10)
    chosen = options.parse_args()
    rows, classes = load_wine(return_X_y=True)
    train, held_out, train_classes, held_out_classes = train_test_split(
        rows, classes, test_size=0.3, stratify=classes, random_state=0
    )
    scaler = StandardScaler().fit(train)
    model = SGDClassifier(
        loss="log_loss", alpha=chosen.alpha, penalty=chosen.penalty, random_state=0
    )
    for epoch in range(1, chosen.epochs + 1):
        model.partial_fit(scaler.transform(train), train_classes, classes=[0, 1, 2])
        chances = model.predict_proba(scaler.transform(held_out))
        loss = log_loss(held_out_classes, chances, labels=[0, 1, 2])
        print(f"epoch {epoch}: {loss:.4f}")
        report(step=epoch, val_loss=loss)


if __name__ == "__main__":
    main()
