"""Predictions as CSV: what a line has."""

from models.predict import Answers
from tuner.takeaway import as_csv


def test_a_line_has_the_prediction_and_the_probability_of_each_class() -> None:
    answers = Answers(
        values=["cat", "dog"], probabilities={"cat": [0.75, 0.25], "dog": [0.25, 0.75]}
    )
    assert as_csv(answers) == "prediction,p(cat),p(dog)\ncat,0.75,0.25\ndog,0.25,0.75\n"


def test_a_number_has_no_probability() -> None:
    assert as_csv(Answers(values=[1.5, -2.0], probabilities={})) == "prediction\n1.5\n-2.0\n"


def test_a_line_begins_with_its_file_where_it_has_one() -> None:
    answers = Answers(values=["cat"], probabilities={"cat": [1.0]}, files=("new/1, old.png",))
    assert as_csv(answers) == 'file,prediction,p(cat)\n"new/1, old.png",cat,1\n'
