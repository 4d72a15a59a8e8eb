import pytest
import torch

from coview.api.axes import Axis, expect, expect_equal
from coview.errors import InputError

PIXELS = (Axis("views", 4), Axis("joints"), Axis("", 2))


@pytest.mark.parametrize("shape", [(4, 17, 2), (100, 4, 17, 2), (3, 100, 4, 1, 2), (0, 4, 0, 2)])
def test_what_fits_passes_and_the_same_with_one_view_less_does_not(shape):
    expect("pixels", torch.zeros(shape), *PIXELS)
    with pytest.raises(InputError, match="views=4"):
        expect("pixels", torch.zeros(shape)[..., :3, :, :], *PIXELS)


@pytest.mark.parametrize(
    ("shape", "words"),
    [
        (
            (100, 17, 4, 2),
            "pixels: expected (*batch, views=4, joints, 2), got (100, 17, 4, 2): views and joints are swapped. "
            "Pass pixels.swapaxes(-3, -2).",
        ),
        (
            (100, 4, 2, 17),
            "pixels: expected (*batch, views=4, joints, 2), got (100, 4, 2, 17): joints and coordinates are swapped. "
            "Pass pixels.swapaxes(-2, -1).",
        ),
        (
            (4, 100, 17, 2),
            "pixels: expected (*batch, views=4, joints, 2), got (4, 100, 17, 2): batch and views are swapped. "
            "Pass pixels.swapaxes(-4, -3).",
        ),
        (
            (2, 17, 4, 100),
            "pixels: expected (*batch, views=4, joints, 2), got (2, 17, 4, 100): the array is transposed, its axes are "
            "in the reverse order. Pass pixels.T, or permute its axes.",
        ),
        (
            (4, 2, 17, 100),
            "pixels: expected (*batch, views=4, joints, 2), got (4, 2, 17, 100): its axes are in another order.",
        ),
        (
            (100, 3, 17, 2),
            "pixels: expected (*batch, views=4, joints, 2), got (100, 3, 17, 2): the axis of views has length 3, "
            "not 4.",
        ),
        (
            (17, 2),
            "pixels: expected (*batch, views=4, joints, 2), got (17, 2): it has 2 axes.",
        ),
    ],
)
def test_the_mistake_is_named(shape, words):
    with pytest.raises(InputError) as error:
        expect("pixels", torch.zeros(shape), *PIXELS)
    assert str(error.value) == words


def test_another_explanation_stands_where_no_order_fits():
    with pytest.raises(InputError, match=r"got \(3, 17, 2\): there are 4 cameras\.$"):
        expect("pixels", torch.zeros(3, 17, 2), *PIXELS, more="there are 4 cameras.")


def test_an_array_that_goes_with_another():
    expect_equal("truth", torch.zeros(5, 17, 3), "predicted", (5, 17, 3), ("joints", ""))
    with pytest.raises(InputError) as error:
        expect_equal("truth", torch.zeros(5, 3, 17), "predicted", (5, 17, 3), ("joints", ""))
    assert str(error.value) == (
        "truth: expected (batch=5, joints=17, 3) to go with predicted, got (5, 3, 17): joints and coordinates are "
        "swapped. Pass truth.swapaxes(-2, -1)."
    )
    with pytest.raises(InputError, match=r"to go with predicted, got \(17, 3\)\.$"):
        expect_equal("truth", torch.zeros(17, 3), "predicted", (5, 17, 3), ("joints", ""))
