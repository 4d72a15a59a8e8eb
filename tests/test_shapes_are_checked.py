"""The canaries: if these pass silently, no annotation in any other test was ever checked."""

import warnings

import pytest
import torch

from coview.cameras import Cameras


def test_a_wrong_shape_is_refused():
    with pytest.raises(Exception, match=r"type-check|jaxtyp|beartype"):
        Cameras(torch.eye(3), torch.eye(4), torch.ones(2), torch.zeros(8), torch.tensor(False))


def test_a_warning_is_an_error():
    with pytest.raises(UserWarning, match="canary"):
        warnings.warn("canary", UserWarning, stacklevel=1)
