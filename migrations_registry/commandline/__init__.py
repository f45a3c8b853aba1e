"""What ``manage.py schema`` is made of, beside the command itself."""
