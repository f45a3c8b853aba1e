"""Django's settings, all of them from the environment. The names are listed in README.md, section "In production"."""

from __future__ import annotations

from pathlib import Path

from controlplane.env import OWN_KEYS, Env

env = Env()
BASE_DIR = Path(__file__).resolve().parent.parent

SECRET_KEY = env.required("SECRET_KEY")
DATABASES = {"default": env.postgres("DATABASE_URL") | {"CONN_MAX_AGE": 60, "CONN_HEALTH_CHECKS": True}}
REDIS_URL = env.redis("REDIS_URL")
DEBUG = env.bool("DEBUG", default=False)
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=[])
CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", default=[])

# What this instance is called, and the colour of its label: nobody should ever wonder which Evenkeel they are looking at.
EVENKEEL_INSTANCE = env.str("EVENKEEL_INSTANCE", default="evenkeel")
EVENKEEL_INSTANCE_COLOUR = env.str("EVENKEEL_INSTANCE_COLOUR", default="teal")
# The address people use, for links in notifications.
EVENKEEL_BASE_URL = env.str("EVENKEEL_BASE_URL", default="")
# Secret references: `env:NAME` may only name variables with one of these prefixes or in this list, `file:` only this directory.
EVENKEEL_SECRET_ENV_PREFIXES = env.list("EVENKEEL_SECRET_ENV_PREFIXES", default=["TARGET_"])
EVENKEEL_SECRET_ENV_NAMES = env.list("EVENKEEL_SECRET_ENV_NAMES", default=[])
EVENKEEL_SECRETS_DIR = env.directory("EVENKEEL_SECRETS_DIR", Path("/run/secrets"))
EVENKEEL_OWN_KEYS = OWN_KEYS
# Where backups go, where the `command` provider keeps releases, which commands it may run, and where PostgreSQL's clients are.
EVENKEEL_BACKUP_DIR = env.directory("EVENKEEL_BACKUP_DIR", BASE_DIR / "var" / "backups")
EVENKEEL_RELEASES_DIR = env.directory("EVENKEEL_RELEASES_DIR", BASE_DIR / "var" / "releases")
EVENKEEL_COMMANDS = env.commands("EVENKEEL_COMMANDS_FILE")
EVENKEEL_PG_BIN_DIRS = env.list("EVENKEEL_PG_BIN_DIRS", default=[])
# Who may read /metrics from elsewhere than this machine: with this bearer token. Without one, nobody.
EVENKEEL_METRICS_TOKEN = env.str("EVENKEEL_METRICS_TOKEN", default="")
# A server on which temporary databases may be made and dropped: schema proofs and restore checks. Never an environment's own.
EVENKEEL_SCRATCH_DATABASE_URL = env.str("EVENKEEL_SCRATCH_DATABASE_URL", default="")
# How long kept schemas of databases are kept: all of so many days, then one a week for so many weeks.
EVENKEEL_SNAPSHOT_DAYS = env.at_least("EVENKEEL_SNAPSHOT_DAYS", 1, default=30)
EVENKEEL_SNAPSHOT_WEEKS = env.at_least("EVENKEEL_SNAPSHOT_WEEKS", 0, default=52)

INSTALLED_APPS = [
    "controlplane.apps.ControlPlaneConfig",
    "controlplane.core.apps.CoreConfig",
    "environments.apps.EnvironmentsConfig",
    "migrations_registry.apps.MigrationsRegistryConfig",
    "errors.apps.ErrorsConfig",
    "controlplane.core.adminsite.apps.EvenkeelAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "django_celery_beat",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "controlplane.core.adminsite.csp.ContentSecurityPolicyMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
ROOT_URLCONF = "controlplane.urls"
WSGI_APPLICATION = "controlplane.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
LOGIN_URL = "admin:login"
TIME_ZONE = "UTC"
USE_TZ = True
LANGUAGE_CODE = "en-gb"
STATIC_URL = "/static/"
STATIC_ROOT = BASE_DIR / "staticfiles"
# Files are found in the apps when nobody ran collectstatic (quick start); with it, whitenoise serves STATIC_ROOT.
WHITENOISE_USE_FINDERS = True

SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
CSRF_COOKIE_SAMESITE = "Lax"
X_FRAME_OPTIONS = "DENY"
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
# Behind TLS (the usual case) the cookies are sent over TLS only; the quick start serves plain HTTP on loopback.
BEHIND_TLS = env.bool("EVENKEEL_BEHIND_TLS", default=not DEBUG)
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SECURE_SSL_REDIRECT = BEHIND_TLS
SECURE_HSTS_SECONDS = 31_536_000 if BEHIND_TLS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = BEHIND_TLS
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if BEHIND_TLS else None
SECURE_REDIRECT_EXEMPT = [r"^health$", r"^healthz$", r"^metrics$"]

CELERY_BROKER_URL = REDIS_URL
CELERY_TASK_IGNORE_RESULT = True  # the Job row is the result
CELERY_TASK_SERIALIZER, CELERY_ACCEPT_CONTENT = "json", ["json"]
CELERY_TASK_ACKS_LATE = True  # every job is claimed by compare-and-set, so a second delivery is harmless
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_TASK_SOFT_TIME_LIMIT, CELERY_TASK_TIME_LIMIT = 3300, 3400
# Longer than any task may run: a message unacknowledged for longer is delivered a second time.
CELERY_VISIBILITY_TIMEOUT = 3600
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "visibility_timeout": CELERY_VISIBILITY_TIMEOUT,
    "socket_keepalive": True,
    "socket_timeout": 10,
    "socket_connect_timeout": 3,
    # Who sends does not wait for a broker that is away: the row is there, and the sweeper sends it.
    "max_retries": 1,
    "interval_start": 0,
}
CELERY_WORKER_SOFT_SHUTDOWN_TIMEOUT = 10
CELERY_WORKER_MAX_TASKS_PER_CHILD = 200
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_TIMEZONE, CELERY_ENABLE_UTC = "UTC", True
CELERY_BEAT_SCHEDULER = "django_celery_beat.schedulers:DatabaseScheduler"

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "line": {"()": "controlplane.core.logs.Formatter", "format": "%(asctime)s %(levelname)s %(name)s: %(message)s"},
    },
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["stderr"], "level": env.str("LOG_LEVEL", default="INFO")},
}
