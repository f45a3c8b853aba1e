"""Job kinds of this app, one line each; imported at start-up."""

from environments.data import jobs as _data  # noqa: F401
from environments.delivery import jobs as _delivery  # noqa: F401
from environments.diagnosis import jobs as _diagnosis  # noqa: F401
