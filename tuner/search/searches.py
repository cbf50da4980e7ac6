"""The samplers and pruners there are, in words; readable without importing Optuna."""

from collections.abc import Mapping
from typing import Final

#: Name of a sampler → how it searches.
SAMPLERS: Final[Mapping[str, str]] = {
    "auto": (
        "The service's choice: evenly spread points until 8 trials have ended, a Gaussian process "
        "until 100 have, then TPE; of several objectives TPE alone. Suits every space, conditions "
        "included."
    ),
    "tpe": (
        "Optuna's tree-structured Parzen estimator over all parameters jointly; the first 10 at "
        "random. Of more than 300 trials it looks at the best, the newest and a share of the rest."
    ),
    "random": "Independent and uniform on each parameter's scale.",
    "qmc": "A scrambled Sobol sequence: covers the space more evenly than chance.",
    "cmaes": "CMA-ES: for numeric parameters and a hundred trials or more; choices at random.",
    "gp": "Optuna's Gaussian process: for numeric parameters and fewer than 250 trials.",
    "nsga2": "A genetic algorithm with populations of 50: for many hundreds of cheap trials.",
    "nsga3": "As nsga2, but spread by reference points: for three metrics or more.",
    "grid": (
        "Every combination once, in shuffled order, then the job ends: all choices, whole numbers "
        "and steps up to 10 values, else 5 evenly spread on the parameter's scale."
    ),
    "brute_force": (
        "As grid, with every value of every range: for spaces that have an end, without real "
        "numbers that have no step."
    ),
}

#: Name of a pruner → when it gives a trial up. A trial in its last epoch is never given up.
PRUNERS: Final[Mapping[str, str]] = {
    "asha": (
        "Asynchronous successive halving: at epochs r, 3r, 9r … with r a ninth of all epochs, "
        "only the best third goes on."
    ),
    "hyperband": "Successive halving with several first rungs, from epoch 1 on, shared out.",
    "median": "Gives up what is worse than the median of completed trials at the same epoch.",
    "patient": "As median, but only after a fifth of all epochs without a better value.",
    "threshold": "Gives up what is below `lower` or above `upper`, which pruner_options say.",
    "none": "Every trial runs to its end.",
}
