"""Directories of migrations, Evenkeel's own and those of other tools, read as they are. Plain Python; no database."""

from migrations_registry.runner.source.files import read_text
from migrations_registry.runner.source.layouts import LAYOUTS, applies, applying_sql, layout_of, read_directory

__all__ = ["LAYOUTS", "applies", "applying_sql", "layout_of", "read_directory", "read_text"]
