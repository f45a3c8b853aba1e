"""The WSGI application."""

import os

from django.core.wsgi import get_wsgi_application

from controlplane.env import stop_unless_configured

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "controlplane.settings")
# Gunicorn starts a worker that ends with any other code again and again; 3 is its own "failed to boot".
stop_unless_configured(exit_code=3)
application = get_wsgi_application()
