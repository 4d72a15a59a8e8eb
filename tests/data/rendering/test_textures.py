import numpy as np

from coview.data.rendering.textures import KINDS, PERIODS, patterns


def test_one_layer_per_kind_the_first_is_plain():
    layers = patterns()
    assert layers.shape == (len(KINDS), 256, 256)
    assert layers[0].max() == 0
    assert all(0.2 < layer.mean() / 255 < 0.8 for layer in layers[1:])


def test_rings_run_across_and_stripes_along():
    rings, stripes = patterns()[1], patterns()[4]
    assert (rings == rings[:, :1]).all()
    assert (stripes == stripes[:1]).all()
    assert (np.diff(rings[:, 0].astype(int)) != 0).sum() == 2 * PERIODS - 1


def test_noise_fits_at_the_edges():
    for layer in patterns()[[3, 5]].astype(int):
        inside = np.abs(np.diff(layer, axis=0)).max()
        assert np.abs(layer[0] - layer[-1]).max() <= inside + 8
        assert np.abs(layer[:, 0] - layer[:, -1]).max() <= np.abs(np.diff(layer, axis=1)).max() + 8
