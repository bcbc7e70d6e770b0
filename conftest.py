"""What the tests and the examples in docstrings share."""

from typing import Any

import jaxtyping
import pytest
from torch import fx


@pytest.fixture(autouse=True)
def tracing_is_not_type_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    """What goes through a network while its graph is traced is no tensor yet."""
    trace = fx.Tracer.trace

    def unchecked(*arguments: Any, **named: Any) -> fx.Graph:
        jaxtyping.config.update("jaxtyping_disable", True)
        try:
            return trace(*arguments, **named)
        finally:
            jaxtyping.config.update("jaxtyping_disable", False)

    monkeypatch.setattr(fx.Tracer, "trace", unchecked)
