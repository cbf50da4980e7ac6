"""A text is cut into windows by position; what is no text is refused in words."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from models.catalog import DataRefused, DataShape, DataSource
from models.data.loading import Dataset, load
from models.data.texts import reading
from models.data.texts.options import TextOptions
from models.data.texts.reading import read_points
from models.data.texts.windows import prepare_text
from models.entries import catalog

ALPHABET = "".join(map(chr, range(ord("a"), ord("z") + 1)))

Write = Callable[..., DataSource]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write ``some.txt``; the source that says so, with what is said of it."""

    def written(text: str | bytes, **options: object) -> DataSource:
        content = text.encode() if isinstance(text, str) else text
        (tmp_path / "some.txt").write_bytes(content)
        return DataSource(name="text", path="some.txt", options=options)

    return written


@pytest.fixture
def loaded(tmp_path: Path) -> Callable[[DataSource], Dataset]:
    """The text as a data set, which inspection must foretell."""

    def load_it(source: DataSource) -> Dataset:
        data = load(source, roots=(str(tmp_path),), cache_dir=tmp_path / "cache")
        assert inspected(source, tmp_path) == data.shape
        return data

    return load_it


def inspected(source: DataSource, root: Path) -> DataShape:
    return catalog().data["text"].inspect(source, (str(root),))


def text_of(data: Dataset, codes: torch.Tensor) -> str:
    vocabulary = data.preparation.to_json()["vocabulary"]
    return "".join((vocabulary + "?")[code] for code in codes.flatten().tolist())


def test_windows_follow_each_other_and_labels_are_one_character_ahead(
    write: Write, loaded: Callable[[DataSource], Dataset]
) -> None:
    text = ALPHABET * 10
    data = loaded(write(text, context=8, test=0.2, validation=0.25))
    assert data.shape == DataShape(
        input_shape=(8,), classes=26, train_rows=19, val_rows=6, test_rows=6, labels=(0, 25),
        kind="text",
    )  # fmt: skip
    assert data.test is not None
    for split, begin, rows in ((data.train, 0, 19), (data.val, 156, 6), (data.test, 208, 6)):
        assert split.inputs.dtype == split.labels.dtype == torch.uint8
        assert split.inputs.shape == split.labels.shape == (rows, 8)
        assert text_of(data, split.inputs) == text[begin : begin + rows * 8]
        assert text_of(data, split.labels) == text[begin + 1 : begin + rows * 8 + 1]


def test_codes_are_made_whole_numbers_of_eight_bytes_batch_by_batch(
    write: Write, loaded: Callable[[DataSource], Dataset]
) -> None:
    data = loaded(write(ALPHABET * 10, context=8))
    assert data.prepared(data.train.inputs[:2]).dtype == torch.int64
    assert data.targets(data.train.labels[:2]).dtype == torch.int64
    assert data.targets(torch.zeros(2)).dtype == torch.float32


def test_no_test_split_is_set_aside_where_none_is_wished(
    write: Write, loaded: Callable[[DataSource], Dataset]
) -> None:
    data = loaded(write(ALPHABET * 10, context=8, test=0))
    assert data.test is None
    assert data.shape.test_rows == 0


def test_characters_that_do_not_train_share_a_code_of_their_own(
    write: Write, loaded: Callable[[DataSource], Dataset], tmp_path: Path
) -> None:
    source = write(ALPHABET * 10 + "é" * 10 + "ß" * 20, context=4)
    data = loaded(source)
    assert data.shape.classes == 27
    assert data.preparation.to_json()["vocabulary"] == ALPHABET
    assert data.test is not None
    assert int(data.test.inputs.max()) == 26
    assert int(data.train.inputs.max()) == 25
    sentences = catalog().data["text"].explain(source, (str(tmp_path),))
    assert sentences[2] == (
        "2 characters do not occur in the part that trains ('ß' 'é'): they share one code, which "
        "no network learns."
    )


def test_a_text_is_explained_in_sentences(write: Write, tmp_path: Path) -> None:
    source = write(ALPHABET * 1000)
    assert catalog().data["text"].explain(source, (str(tmp_path),)) == (
        "The text has 26,000 characters, 26 different ones in the part that trains; each is a "
        "class.",
        "It is cut into windows of 64 characters, of each of which the next one is predicted: 329 "
        "from its beginning train, the 36 after them validate, 40 from its end are set aside.",
    )


@pytest.mark.parametrize(
    ("characters", "context"),
    [(200, 16), (8_191, 16), (8_192, 32), (26_000, 64), (32_768, 128), (10**9, 128)],
)
def test_windows_are_shorter_where_the_text_is(characters: int, context: int) -> None:
    assert TextOptions().context_of(characters) == context
    assert TextOptions(context=50).context_of(characters) == 50


def test_many_characters_take_four_bytes_each(
    write: Write, loaded: Callable[[DataSource], Dataset]
) -> None:
    hanzi = "".join(map(chr, range(0x4E00, 0x4E00 + 300)))
    data = loaded(write(hanzi * 4, context=4))
    assert data.train.inputs.dtype == torch.int32
    assert text_of(data, data.train.inputs) == (hanzi * 4)[: data.train.rows * 4]


@pytest.mark.parametrize("extra", [0, 1])
def test_a_byte_holds_256_codes_the_unknown_one_included(
    write: Write, loaded: Callable[[DataSource], Dataset], extra: int
) -> None:
    letters = "".join(map(chr, range(0x100, 0x100 + 255 + extra)))
    data = loaded(write(letters * 10 + "!" * 10, context=4))
    assert data.shape.classes == 256 + extra
    assert data.train.inputs.dtype == (torch.int32 if extra else torch.uint8)


def test_the_fingerprint_follows_the_contents_and_not_the_seed(
    write: Write, loaded: Callable[[DataSource], Dataset], tmp_path: Path
) -> None:
    source = write(ALPHABET * 10, context=8)
    first = loaded(source)
    other_seed = load(source, roots=(str(tmp_path),), split_seed=1, cache_dir=tmp_path / "cache")
    other_context = loaded(write(ALPHABET * 10, context=9))
    other_letters = loaded(write(ALPHABET.upper() * 10, context=8))
    assert torch.equal(other_letters.train.inputs, first.train.inputs)
    assert other_seed.fingerprint == first.fingerprint
    fingerprints = {data.fingerprint for data in (first, other_context, other_letters)}
    assert len(fingerprints) == 3


def test_a_text_is_read_whole_however_its_bytes_fall_into_pieces(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "a é 漢 😀\r\n" * 7
    write(text)
    for size in (1, 2, 3, 5, 64, 1 << 20):
        monkeypatch.setattr(reading, "_CHUNK_BYTES", size)
        assert "".join(map(chr, read_points(tmp_path / "some.txt"))) == text


def test_a_byte_order_mark_is_no_part_of_the_text(write: Write, tmp_path: Path) -> None:
    write(b"\xef\xbb\xbfabc")
    assert "".join(map(chr, read_points(tmp_path / "some.txt"))) == "abc"


LONG = "some words and more of them, " * 20


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        (b"", {}, "some.txt is empty; write text into it."),
        (b"\xef\xbb\xbf", {}, "some.txt is empty; write text into it."),
        (
            LONG.encode() + b"caf\xe9 au lait",
            {},
            "some.txt is not UTF-8: byte 0xe9 at offset 583 (invalid continuation byte); save it "
            "as UTF-8, as iconv -t UTF-8 does.",
        ),
        (
            LONG.encode("utf-16"),
            {},
            "some.txt is not UTF-8: byte 0xff at offset 0 (invalid start byte); save it as UTF-8, "
            "as iconv -t UTF-8 does.",
        ),
        (
            LONG.encode() + "é".encode()[:1],
            {},
            "some.txt is not UTF-8: byte 0xc3 at offset 580 (unexpected end of data); save it as "
            "UTF-8, as iconv -t UTF-8 does.",
        ),
        (
            "too short",
            {},
            "some.txt has 9 characters; with windows of 16 at least 189 are needed, for two "
            "windows to train and one for validation and test: take a longer text, or a smaller "
            "context.",
        ),
        (
            LONG,
            {"context": 1000, "test": 0},
            "some.txt has 580 characters; with windows of 1000 at least 10,010 are needed, for two "
            "windows to train and one for validation: take a longer text, or a smaller context.",
        ),
        (
            "a" * 580 + "b" * 20,
            {},
            "The part of some.txt that trains has one character only, 'a'; there is nothing to "
            "predict: take another text.",
        ),
        (
            LONG,
            {"context": 1},
            "context = 1 must be a whole number of characters from 2 to 1,024.",
        ),
        (
            LONG,
            {"context": 1025},
            "context = 1025 must be a whole number of characters from 2 to 1,024.",
        ),
        (
            LONG,
            {"context": 8.5},
            "context = 8.5 must be a whole number of characters from 2 to 1,024.",
        ),
        (LONG, {"context": True}, "context = True must be a whole number of characters from 2"),
        (LONG, {"test": 0.6}, "test = 0.6 must be a share from 0 to 0.5."),
        (LONG, {"validation": 0}, "validation = 0 must be a share above 0, to 0.5."),
        (LONG, {"validation": "10 %"}, "validation = '10 %' must be a share, such as 0.1."),
    ],
)
def test_what_is_no_text_to_learn_from_is_refused_with_a_remedy(
    text: str | bytes, options: dict[str, object], message: str, write: Write, tmp_path: Path
) -> None:
    source = write(text, **options)
    with pytest.raises(DataRefused) as caught:
        inspected(source, tmp_path)
    assert message in str(caught.value)
    with pytest.raises(DataRefused):
        load(source, roots=(str(tmp_path),), cache_dir=tmp_path / "cache")


def test_a_text_of_the_needed_length_has_its_windows(write: Write, tmp_path: Path) -> None:
    for context, validation, test in ((16, 0.1, 0.1), (7, 0.3, 0.0), (30, 0.5, 0.5), (2, 0.01, 0)):
        options = TextOptions(context=context, validation=validation, test=test)
        write("ab")
        with pytest.raises(DataRefused, match="at least") as caught:
            prepare_text(tmp_path / "some.txt", options)
        needed = int(str(caught.value).split("at least ")[1].split()[0].replace(",", ""))
        write("ab" * (needed // 2) + "a" * (needed % 2))
        prepared = prepare_text(tmp_path / "some.txt", options)
        assert len(prepared.train) >= 2
        assert len(prepared.val) >= 1
        assert prepared.test is None if test == 0 else len(prepared.test or ()) >= 1


def test_a_text_larger_than_the_memory_says_what_it_would_take(
    write: Write, tmp_path: Path
) -> None:
    write("x" * 1_000_000)
    with pytest.raises(DataRefused) as caught:
        read_points(tmp_path / "some.txt", available_bytes=7_999_999)
    assert str(caught.value) == (
        "some.txt has 1.0 MB of text, which takes about 8.0 MB of memory; 8.0 MB are free: take a "
        "part of it."
    )
    assert len(read_points(tmp_path / "some.txt", available_bytes=8_000_000)) == 1_000_000


def test_text_without_a_file_shows_how_to_name_one() -> None:
    with pytest.raises(DataRefused, match=r"text needs a file: write data: \{text: FILE\}"):
        catalog().data["text"].inspect(DataSource(name="text"), ())
