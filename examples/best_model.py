"""From a finished job to its trained network: download, rebuild, check, use.

    python examples/best_model.py            the newest job
    python examples/best_model.py JOB        this one: an id, its beginning, or a name

Works where Tuner is installed; the server is looked for at TUNER_URL, else at port 8700 here.
"""

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from models.data.loading import load
from models.exported.export import describe_model, load_model
from models.recipe import Recipe
from models.training.evaluate import evaluate
from tuner.client import Client
from tuner.settings import Settings


def main(reference: str) -> None:
    with Client() as tuner, TemporaryDirectory() as folder:
        job = tuner.find(reference)
        best = job.best().best[0]
        print(f"{job.view.name}: {job.view.metric} {best.value:.4f}, trial {best.number}")

        # One file holds the weights and everything that rebuilds the network around them.
        file = job.download_model(Path(folder) / "best.safetensors")
        about = describe_model(file)
        network = load_model(file)
        print(network)

        # The recipe says what it was trained on, and how the data was divided.
        recipe = Recipe.from_json(about["recipe"])
        settings = Settings()
        data = load(
            recipe.data,
            roots=settings.roots,
            split_seed=recipe.split_seed,
            cache_dir=settings.cache,
        )

        # The same validation rows give the very figure that the job reported.
        measured = evaluate(network, data, "val", loss=recipe.loss, config=recipe.config)
        print(f"measured again: loss {measured['loss']:.4f}, accuracy {measured['accuracy']:.4f}")
        assert abs(measured["accuracy"] - about["metrics"]["val_accuracy"]) < 1e-3

        # Images go in as bytes, normalised as in training; out come logits, one for each class.
        images = data.val.inputs[:8]
        print("predicted:", network(data.prepared(images)).argmax(1).tolist())
        print("true:     ", data.val.labels[:8].tolist())


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "latest")
