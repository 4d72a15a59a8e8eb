"""Tracks between pictures: exact where motion is a cubic, silent where nothing was seen."""

import torch

from coview.geometry.self_calibration.track_interpolation import read_at, velocities, without_jumps

FRAMES = torch.arange(60, dtype=torch.float64)


def curve(time):
    """Pixels of one view and joint at times in frames."""
    return torch.stack([300 + 4 * time - 0.05 * time**2, 200 + 1e-4 * (time - 30) ** 3], dim=-1)[
        :, None, None
    ]


SEEN = torch.ones(60, 1, 1, dtype=torch.float64)


def test_a_cubic_is_read_nearly_exactly_between_and_exactly_at_pictures():
    places = torch.tensor([[10.0], [10.5], [20.3], [40.8]], dtype=torch.float64)
    found = read_at(curve(FRAMES), SEEN, places)
    exact = curve(places[:, 0])
    assert torch.equal(found.pixels[0], exact[0])
    assert float((found.pixels - exact).abs().max()) < 0.05
    assert (found.weights == 1).all()
    slope = (curve(places[:, 0] + 0.01) - curve(places[:, 0] - 0.01)) / 0.02
    assert float((found.velocity - slope).abs().max()) < 0.1


def test_not_seen_outside_the_recording_nor_where_the_picture_did_not_see():
    weights = SEEN.clone()
    weights[20] = 0
    places = torch.tensor([[-1.0], [59.7], [20.2], [19.4]], dtype=torch.float64)
    found = read_at(curve(FRAMES), weights, places)
    assert found.pixels[[0, 1, 2]].isnan().all()
    assert (found.weights[[0, 1, 2]] == 0).all()
    assert found.weights[3] == 1


def test_the_noise_of_an_answer_is_about_that_of_a_picture():
    generator = torch.Generator().manual_seed(0)
    many = curve(FRAMES).expand(60, 1, 400, 2)
    noisy = many + torch.randn(many.shape, generator=generator, dtype=torch.float64)
    places = torch.full((1, 1), 30.5, dtype=torch.float64)
    error = read_at(noisy, torch.ones(60, 1, 400).double(), places).pixels - curve(places[:, 0])
    assert 0.8 < float(error.std()) < 1.2


def test_velocities_and_jumps():
    speed, known = velocities(curve(FRAMES), SEEN)
    assert known.all()
    assert abs(float(speed[30, 0, 0, 0]) - 1.0) < 1e-6
    jumped = curve(FRAMES).clone()
    jumped[25] += 80
    kept = without_jumps(jumped, SEEN, 30.0)
    assert kept[:, 0, 0].nonzero()[:, 0].tolist() == [n for n in range(60) if n != 25]
