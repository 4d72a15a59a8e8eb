import numpy as np
import pytest
import torch

from coview.api.arrays import as_float, read, read_beside
from coview.errors import InputError


@pytest.mark.parametrize(
    ("values", "dtype", "numpy"),
    [
        (np.zeros(3), torch.float64, True),
        (np.zeros(3, dtype=np.float32), torch.float32, True),
        (np.zeros(3, dtype=np.float16), torch.float32, True),
        (np.zeros(3, dtype=np.longdouble), torch.float64, True),
        (np.zeros(3, dtype=">f8"), torch.float64, True),
        (np.zeros(3, dtype=int), torch.float64, True),
        (np.zeros(3, dtype=np.uint8), torch.float64, True),
        ([1, 2, 3], torch.float64, True),
        (((1.5,), (2,)), torch.float64, True),
        (torch.zeros(3), torch.float32, False),
        (torch.zeros(3, dtype=torch.float64), torch.float64, False),
        (torch.zeros(3, dtype=torch.bfloat16), torch.float32, False),
        (torch.zeros(3, dtype=torch.int64), torch.float64, False),
        ([torch.zeros(3), torch.ones(3)], torch.float32, False),
    ],
)
def test_numbers_of_every_kind_are_read_and_given_back_in_kind(values, dtype, numpy):
    tensor, kind = read("x", values)
    assert tensor.dtype == dtype
    given = kind.give(tensor)
    assert isinstance(given, np.ndarray if numpy else torch.Tensor)
    np.testing.assert_array_equal(torch.as_tensor(given).float(), _plain(values))


def _plain(values):
    """The same numbers as float32."""
    if isinstance(values, torch.Tensor):
        return values.float()
    return (
        torch.stack(values) if isinstance(values[0], torch.Tensor) else np.asarray(values, dtype=np.float32)
    )


@pytest.mark.parametrize(
    "array",
    [
        np.arange(12.0).reshape(3, 4)[::-1],
        np.arange(12.0).reshape(3, 4)[:, ::-2],
        np.arange(12.0).reshape(3, 4).T,
        np.asfortranarray(np.arange(12.0).reshape(3, 4)),
        np.broadcast_to(np.arange(4.0), (3, 4)),
        np.arange(12.0).reshape(3, 4)[:, 1:3],
    ],
    ids=["reversed", "reversed columns", "transposed", "fortran", "broadcast", "columns"],
)
def test_any_memory_layout_is_read(array):
    np.testing.assert_array_equal(read("x", array)[0].numpy(), array)


def test_masked_values_are_not_known():
    masked = np.ma.masked_array([1.0, 2.0], mask=[False, True])
    assert read("x", masked)[0].isnan().tolist() == [False, True]


def test_the_callers_array_is_never_written():
    array = np.arange(3.0)
    array.flags.writeable = False
    tensor, _ = read("x", array)
    tensor += 1
    np.testing.assert_array_equal(array, [0, 1, 2])


def test_gradients_go_through():
    start = torch.ones(3, requires_grad=True)
    tensor, kind = read("x", start)
    kind.give(2 * tensor).sum().backward()
    assert start.grad is not None
    assert start.grad.tolist() == [2, 2, 2]


def test_one_number_is_a_numpy_scalar():
    _, kind = read("x", np.zeros(3, dtype=np.float32))
    assert isinstance(kind.give(torch.tensor(1.0)), np.float32)


def test_truth_values_stay_such():
    _, kind = read("x", np.zeros(3))
    assert kind.give(torch.tensor([True])).dtype == np.bool_


def test_an_answer_on_two_arrays_has_the_finer_type():
    coarse, fine = read("x", np.zeros(1, dtype=np.float32))[1], read("y", torch.zeros(1).double())[1]
    joined = coarse.joined(fine)
    assert joined.numpy
    assert joined.dtype == torch.float64


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (None, "got NoneType"),
        ("123", "got str"),
        ({"a": 1}, "got dict"),
        ([[1, 2], [3]], "same length"),
        ([1.0, None], "Write NaN, not None"),
        (np.array([True, False]), r"truth values \(bool\)"),
        (np.array([1j]), "complex"),
        (torch.tensor([True]), r"truth values \(bool\)"),
        (torch.tensor([1j]), "complex"),
        (["a", "b"], "numbers are needed"),
        ([torch.zeros(2), torch.zeros(3)], "unequal shapes"),
    ],
)
def test_what_is_no_array_of_numbers_is_named(values, words):
    with pytest.raises(InputError, match=rf"^pixels: .*{words}"):
        read("pixels", values)


def test_read_beside_only_moves():
    assert read_beside("x", [1, 2], torch.zeros(2)).dtype == torch.float64


def test_as_float():
    assert isinstance(as_float(3), float)
    assert as_float(None) is None
