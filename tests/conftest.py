"""What all tests share: the helpers beside this file, and a user's folder of models that is always empty."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# How long an example takes tells of the load of the machine, not of a fault.
settings.register_profile("neuralcodec", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("neuralcodec")


@pytest.fixture(autouse=True)
def _no_models_of_the_user(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    folder: Path = tmp_path_factory.getbasetemp() / "no models"
    monkeypatch.setenv("NEURALCODEC_MODELS", str(folder))
