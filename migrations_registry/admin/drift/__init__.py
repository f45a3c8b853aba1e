"""The drift page: two schemas side by side, and what may be done about their differences."""
