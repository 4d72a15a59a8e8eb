import torch

from coview.geometry.self_calibration.camera_clocks import Timing, common_times


def tensor(*values):
    return torch.tensor(values, dtype=torch.float64)


def test_offset_and_drift_by_the_cameras_own_clock_say_the_same():
    timing = Timing(tensor(0, 0.5, -1.2), tensor(0, 2e-3, -1e-3), middle=7.0)
    times = torch.linspace(0, 30, 7, dtype=torch.float64)
    own = timing.own(times)
    time_offset, drift = timing.from_own
    torch.testing.assert_close(own + time_offset + drift * own, times[:, None].expand(-1, 3))
    torch.testing.assert_close(timing.around(20.0).own(times), own)


def test_a_late_camera_saw_it_earlier_by_its_own_clock():
    assert Timing(tensor(0, 0.5), tensor(0, 0)).own(tensor(3.0)).tolist() == [[3.0, 2.5]]


def test_common_times_are_those_at_which_two_cameras_look():
    seen = torch.ones(100, 3, 2, dtype=torch.float64)
    timing = Timing(tensor(0, 1.0, 5.0), tensor(0, 0, 0))  # at 10 Hz: 0 to 9.9 s, 1 to 10.9 s, 5 to 14.9 s
    times = common_times(timing, seen, 10.0, 1000)
    assert [float(times[0]), float(times[-1])] == [1.0, 10.9]
    few = common_times(timing, seen, 10.0, 20)
    assert len(few) == 20
    seen[:, 1] = 0
    assert float(common_times(timing, seen, 10.0, 1000)[0]) == 5.0


def test_corrections_add_up():
    timing = Timing.synchronised(2).later(tensor(0, 0.1, 0.2, 0.3).view(2, 2))
    assert timing.time_offset.tolist() == [0, 0.2]
    assert timing.drift.tolist() == [0.1, 0.3]
