"""The adapters that deploy: each registers itself by name."""

from environments.providers import base
from environments.providers.command import CommandProvider

base.register(CommandProvider())
