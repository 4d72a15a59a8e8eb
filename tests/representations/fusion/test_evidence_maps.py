import math
from dataclasses import replace

import pytest
import torch

from coview.representations.fusion.cross_view_evidence import JointEvidence
from coview.representations.fusion.evidence_maps import (
    FAITHFUL,
    OURS,
    FusionSettings,
    map_height,
    map_maxima,
    within_grid,
)

H = 64


def evidence(items=60, sources=4, seed=0, spread=0.02) -> tuple[JointEvidence, torch.Tensor]:
    """Points and lines around a place per item, which is returned too (2 items); weights between 0.3 and 1."""
    generator = torch.Generator().manual_seed(seed)
    place = 0.5 * torch.rand(2, items, generator=generator) - 0.25
    points = place[:, None] + spread * torch.randn(2, sources, items, generator=generator)
    angle = 2 * math.pi * torch.rand(sources - 1, items, generator=generator)
    a, b = angle.cos(), angle.sin()
    offset = -(a * place[0] + b * place[1]) + spread * torch.randn(a.shape, generator=generator)
    weights = 0.3 + 0.7 * torch.rand(2 * sources - 1, items, generator=generator)
    found = JointEvidence(
        x=points[0],
        y=points[1],
        point_weights=weights[:sources],
        a=a,
        b=b,
        c=offset,
        line_weights=weights[sources:],
    )
    return found, place


# --- the grid, against the text of the paper's code ----------------------------------------------------


def stamped(found: JointEvidence, item: int) -> torch.Tensor:
    """Slow twin: one item's map by stamping, rows y, columns x. Centres are rounded, not cut off."""
    surface = torch.zeros(H, H)
    for s in range(len(found.x)):
        column, row = (round(float(each[s, item]) * H + H / 2) for each in (found.x, found.y))
        if 0 <= column < H and 0 <= row < H:
            stamp(surface, row, column, 3, 3.0, float(found.point_weights[s, item]), add=True)
    lines = []
    for s in range(len(found.a)):
        a, b, c = (float(each[s, item]) for each in (found.a, found.b, found.c))
        if abs(b) < 1e-6:
            continue
        slope, height = -a / b, (H / 2 + (a * H / 2 - c * H) / b)  # y = slope x + height, in cells
        kept = [x for x in range(H) if 0.2 * H < x < 0.8 * H and 0.1 * H < slope * x + height < 0.9 * H]
        if len(kept) < 2:
            continue
        line = torch.zeros(H, H)
        for k in range(16):
            x = kept[0] + (kept[-1] - kept[0]) * k / 15
            stamp(
                line,
                round(slope * x + height),
                round(x),
                2,
                2.0,
                float(found.line_weights[s, item]),
                add=False,
            )
        lines.append(line)
    return surface + sum(lines) if len(lines) > 1 else surface


def stamp(surface, row, column, reach, sigma, weight, *, add):
    for y in range(max(0, row - reach), min(H, row + reach + 1)):
        for x in range(max(0, column - reach), min(H, column + reach + 1)):
            value = weight * math.exp(-((x - column) ** 2 + (y - row) ** 2) / (2 * sigma**2))
            surface[y, x] = surface[y, x] + value if add else value


def test_grid_agrees_with_stamping():
    found, _ = evidence()
    place, height, _ = map_maxima(found, torch.zeros(2, 60), FAITHFUL)
    cells = []
    for item in range(60):
        surface = stamped(found, item)
        best = int(surface.argmax())
        assert float(surface.max()) == pytest.approx(float(height[item]), rel=0.35)
        twin = torch.tensor([best % H - H / 2, best // H - H / 2])
        cells.append(float((place[:, item] * H - twin).norm()))
    assert sorted(cells)[30] <= 1.5  # 16 stamps leave gaps in a line, and cut coordinates to cells
    assert sorted(cells)[54] <= 3.0


def test_grid_equals_its_own_height_at_cell_centres():
    found, _ = evidence(items=7)
    place, height, _ = map_maxima(found, torch.zeros(2, 7), FAITHFUL)
    cells = torch.arange(H) / H - 0.5
    y, x = torch.meshgrid(cells, cells, indexing="ij")
    everywhere = torch.stack([x.flatten(), y.flatten()])[..., None].expand(-1, -1, 7)
    values = map_height(within_grid(found, FAITHFUL), everywhere, FAITHFUL, windows=True)
    torch.testing.assert_close(values.max(dim=0).values, height, atol=1e-5, rtol=0)
    torch.testing.assert_close(everywhere[:, values.argmax(dim=0), 0], place)


def test_what_is_off_the_grid_counts_nothing():
    found, _ = evidence(items=3)
    x = found.x.clone()
    x[0, 0], x[1, 1] = 0.6, -0.51
    c = found.c.clone()
    c[0, 2] = 0.7  # passes outside the box
    drawn = within_grid(replace(found, x=x, c=c), FAITHFUL)
    assert drawn.point_weights[0, 0] == 0
    assert drawn.point_weights[1, 1] == 0
    assert drawn.line_weights[0, 2] == 0
    assert (drawn.line_weights[1:, 2] > 0).all()


def test_vertical_lines_count():
    """The authors' code divides by zero and drops them."""
    found, place = evidence(items=5, spread=0.0)
    a, b, c = found.a.clone(), found.b.clone(), found.c.clone()
    a[0], b[0], c[0] = 1.0, 0.0, -place[0]
    drawn = within_grid(replace(found, a=a, b=b, c=c), FAITHFUL)
    assert (drawn.line_weights[0] == found.line_weights[0]).all()


def test_of_one_line_nothing_is_drawn():
    found, _ = evidence(items=2)
    weights = found.line_weights.clone()
    weights[1:, 0] = 0
    drawn = within_grid(replace(found, line_weights=weights), FAITHFUL)
    assert (drawn.line_weights[:, 0] == 0).all()
    assert (drawn.line_weights[:, 1] > 0).all()


# --- the ascent, against a fine grid -------------------------------------------------------------------


@pytest.mark.parametrize("sources", [2, 4, 7])
@pytest.mark.parametrize("spread", [0.01, 0.05])
def test_ascent_finds_what_a_full_grid_finds(sources, spread):
    found, place = evidence(items=100, sources=sources, spread=spread, seed=sources)
    peak, height, _ = map_maxima(found, place, OURS)
    cells = torch.linspace(-0.5, 0.5, 129)
    y, x = torch.meshgrid(cells, cells, indexing="ij")
    everywhere = torch.stack([x.flatten(), y.flatten()])[..., None].expand(-1, -1, 100)
    best = map_height(found, everywhere, OURS).max(dim=0).values
    assert (height >= 0.999 * best).float().mean() >= 0.9
    assert (height >= 0.8 * best).float().mean() >= 0.98
    torch.testing.assert_close(map_height(found, peak[:, None], OURS)[0], height)


def test_ascent_never_goes_downhill():
    found, place = evidence(items=200, spread=0.1)
    _, height, before = map_maxima(found, place, OURS)
    assert (height >= before - 1e-6).all()
    points = torch.stack([found.x, found.y])
    assert (height >= map_height(found, points, OURS).max(dim=0).values - 1e-6).all()


def test_agreeing_evidence_is_met_exactly():
    found, place = evidence(spread=0.0)
    peak, height, _ = map_maxima(found, torch.zeros_like(place), OURS)
    torch.testing.assert_close(peak, place, atol=1e-5, rtol=0)
    torch.testing.assert_close(height, found.point_weights.sum(dim=0) + found.line_weights.sum(dim=0))


@pytest.mark.parametrize("settings", [FAITHFUL, OURS], ids=["grid", "ascent"])
def test_no_evidence_has_no_height_and_no_items_no_places(settings):
    found, place = evidence(items=3)
    silent = replace(found, point_weights=0 * found.point_weights, line_weights=0 * found.line_weights)
    peak, height, before = map_maxima(silent, place, settings)
    assert (height == 0).all()
    assert (before == 0).all()
    assert peak.isfinite().all()
    none, place = evidence(items=0)
    assert map_maxima(none, place, settings)[0].shape == (2, 0)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"quantile": 25.0}, r"share between 0 and 1 \(0\.25, not 25\), got 25\.0"),
        ({"resolution": 4}, "resolution must be at least 8"),
        ({"joint_sigma": 0.0}, "positive, got 64, 0.0"),
    ],
)
def test_settings_are_checked(wrong, message):
    with pytest.raises(ValueError, match=message):
        FusionSettings(**wrong)
