import pytest
import torch

from coview.geometry.tracks import read_at, velocities, without_jumps


def waves(frames: int = 60, rate: float = 0.2):
    """Two views of three joints that swing: a function of time in frames, and the frames."""
    place = torch.arange(6, dtype=torch.float64).view(1, 2, 3)

    def at(time):
        angle = rate * time[:, :, None] + place
        return torch.stack([500 + 60 * angle.sin(), 400 + 40 * (1.3 * angle).cos()], dim=-1)

    frame = torch.arange(frames, dtype=torch.float64)[:, None].expand(frames, 2)
    return at, at(frame), torch.ones(frames, 2, 3, dtype=torch.float64)


def test_between_pictures_it_is_where_the_joint_was():
    at, pixels, weights = waves()
    places = torch.arange(8, 50, dtype=torch.float64)[:, None] + torch.tensor([0.0, 0.43])
    read = read_at(pixels, weights, places)
    assert (read.weights == 1).all()
    torch.testing.assert_close(read.pixels[:, 0], pixels[8:50, 0])  # at a picture: the picture
    assert (read.pixels - at(places)).abs().max() < 0.1  # ridge and quintic: a thirtieth of a detection


def test_velocities_are_pixels_per_frame():
    at, pixels, weights = waves(rate=0.05)
    places = torch.full((1, 2), 30.0, dtype=torch.float64)
    slope = (at(places + 0.5) - at(places - 0.5))[0]
    assert (read_at(pixels, weights, places).velocity[0] - slope).abs().max() < 0.05 * slope.abs().max()
    assert (velocities(pixels, weights)[0][30] - slope).abs().max() < 0.05 * slope.abs().max()


def test_the_error_of_a_reading_is_one_pictures_and_not_that_of_its_velocity():
    # what makes an estimated clock unbiased: both would otherwise move together
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(400, 1, 50, 2, generator=generator, dtype=torch.float64)
    weights = torch.ones(400, 1, 50, dtype=torch.float64)
    read = read_at(noise, weights, torch.arange(10, 390, dtype=torch.float64)[:, None] + 0.4)
    assert float(read.pixels.std()) == pytest.approx(1.0, abs=0.12)
    assert (
        abs(float((read.pixels * read.velocity).mean()))
        < 5 * float(read.velocity.std()) / read.pixels.numel() ** 0.5
    )


def test_what_is_not_seen_is_not_invented():
    _, pixels, weights = waves()
    weights[20, 0, 1] = 0
    weights[30:41, 1, 2] = 0
    weights[35, 1, 2] = 1  # alone in time: nothing moves it
    read = read_at(
        pixels, weights, torch.tensor([[20.1, 20.1], [34.7, 34.7], [-3.0, 62.0]], dtype=torch.float64)
    )
    assert read.weights[0, 0].tolist() == [1, 0, 1]
    assert read.weights[1, 1].tolist() == [1, 1, 0]
    assert (read.weights[2] == 0).all(), "before the first picture, after the last"
    assert read.pixels[0, 0, 1].isnan().all()
    assert (read.velocity[2] == 0).all()


def test_jumps_lose_their_weight():
    _, pixels, weights = waves()
    pixels[25, 1, 0] += 200
    kept = without_jumps(pixels, weights, 50.0)
    assert kept[25, 1, 0] == 0
    assert kept.sum() == weights.sum() - 1
