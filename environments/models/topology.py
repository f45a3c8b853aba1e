"""What exists: applications, their environments, components, databases, and the rules for their variables."""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.core.exceptions import ValidationError
from django.core.validators import RegexValidator
from django.db import models
from django.db.models import F, Q

from controlplane.core.secretrefs import validate_reference
from environments.catalog.profiles import AUTO, KINDS, PROFILES, Choice

SLUG = RegexValidator(
    r"\A[a-z][a-z0-9-]{0,38}\Z", "Lower-case letters, digits and dashes, beginning with a letter, at most 39 characters."
)


class Application(models.Model):
    """A product with one blueprint: its environments hold the same components."""

    slug = models.CharField(max_length=39, unique=True, validators=[SLUG])
    name = models.CharField(max_length=120)
    description = models.TextField(blank=True)

    class Meta:
        ordering = ["slug"]

    def __str__(self) -> str:
        return self.slug


class Tier(models.TextChoices):
    DEVELOPMENT = "development", "Development"
    STAGING = "staging", "Staging"
    PRODUCTION = "production", "Production"


class DataClass(models.TextChoices):
    """What kind of data an environment may hold, from open to closed."""

    SYNTHETIC = "synthetic", "Synthetic data only"
    MASKED = "masked", "Masked copies of personal data"
    PERSONAL = "personal", "Personal data"


#: Trust grows with the tier; data flows only towards less trust.
TRUST = {Tier.DEVELOPMENT: 0, Tier.STAGING: 1, Tier.PRODUCTION: 2}


class Environment(models.Model):
    application = models.ForeignKey(Application, on_delete=models.PROTECT, related_name="environments")
    name = models.CharField(max_length=39, validators=[SLUG])
    tier = models.CharField(max_length=12, choices=Tier.choices)
    order = models.PositiveSmallIntegerField(help_text="Place in the row from the first environment to production.")
    data_class = models.CharField(max_length=10, choices=DataClass.choices)
    is_source_of_truth = models.BooleanField(
        default=False, help_text="Other environments' schema and reference data are compared with this one."
    )
    promotes_from = models.ForeignKey("self", null=True, blank=True, on_delete=models.PROTECT, related_name="promotes_to")
    protected = models.BooleanField(default=False, help_text="Changes need an approval by somebody other than the requester.")
    required_approvals = models.PositiveSmallIntegerField(default=0)
    soak_seconds = models.PositiveIntegerField(
        default=300, help_text="How long the guard watches a new release before it counts as good."
    )
    migrations_dir = models.CharField(max_length=200, blank=True)

    class Meta:
        ordering = ["application__slug", "order"]
        constraints = [
            models.UniqueConstraint(fields=["application", "name"], name="environment_name_once"),
            models.UniqueConstraint(fields=["application"], condition=Q(is_source_of_truth=True), name="one_source_of_truth"),
            models.CheckConstraint(condition=~Q(promotes_from=F("id")), name="environment_not_from_itself"),
            models.CheckConstraint(condition=Q(protected=False) | Q(required_approvals__gte=1), name="protected_needs_approval"),
            models.CheckConstraint(condition=~Q(tier="production") | Q(protected=True), name="production_is_protected"),
        ]

    def __str__(self) -> str:
        return f"{self.application.slug}/{self.name}"

    def clean(self) -> None:
        """The direction of data and the need for approvals rest on the tier (a trigger says so again)."""
        stored = Environment.objects.filter(pk=self.pk).exclude(tier=self.tier).first() if self.pk else None
        if stored is not None and (stored.databases.exists() or stored.promotions_in.exists() or stored.promotions_out.exists()):
            raise ValidationError(
                {"tier": f"{stored} is in use as {stored.tier}: its tier never changes. Make another environment."}
            )

    @property
    def trust(self) -> int:
        return TRUST[Tier(self.tier)]


class ComponentKind(models.TextChoices):
    FRONTEND = "frontend", "Frontend"
    BACKEND = "backend", "Backend"
    WORKER = "worker", "Worker"
    DATABASE = "database", "Database"
    CACHE = "cache", "Cache"
    VECTOR_STORE = "vector-store", "Vector store"


class Component(models.Model):
    environment = models.ForeignKey(Environment, on_delete=models.PROTECT, related_name="components")
    name = models.CharField(max_length=39, validators=[SLUG])
    kind = models.CharField(max_length=12, choices=ComponentKind.choices)
    provider = models.CharField(max_length=20, help_text="Which adapter deploys it; empty for what is not deployed.", blank=True)
    external_ids = models.JSONField(
        default=dict, blank=True, help_text='Names and ids at the provider, as {"project": "shop-v2"}.'
    )
    settings = models.JSONField(default=dict, blank=True, help_text="Settings of the provider's adapter. Never secrets.")
    health_url = models.URLField(blank=True)
    variables_ref = models.CharField(
        max_length=200,
        blank=True,
        validators=[validate_reference],
        help_text="The component's variables as a dotenv file, file:NAME. Only names and keyed fingerprints are kept.",
    )

    class Meta:
        ordering = ["environment", "name"]
        constraints = [models.UniqueConstraint(fields=["environment", "name"], name="component_name_once")]

    def __str__(self) -> str:
        return f"{self.environment}/{self.name}"


def validate_patterns(value: object) -> None:
    """Lists of shell patterns by what they are for. Raises ValidationError."""
    if not isinstance(value, dict) or not all(
        isinstance(patterns, list) and all(isinstance(one, str) and 0 < len(one) <= 63 for one in patterns)
        for patterns in value.values()
    ):
        raise ValidationError('Write lists of patterns, as {"schemas": ["audit_*"]}; a pattern has 1 to 63 characters.')
    unknown = value.keys() - set(KINDS)
    if unknown:
        raise ValidationError(f"Nothing can be left out by {', '.join(sorted(unknown))}, only by {', '.join(KINDS)}.")


class ManagedDatabase(models.Model):
    """A PostgreSQL database of an environment. Its address is a reference, its value is never here."""

    environment = models.ForeignKey(Environment, on_delete=models.PROTECT, related_name="databases")
    name = models.CharField(max_length=39, validators=[SLUG], default="main")
    dsn_ref = models.CharField("DSN reference", max_length=200, validators=[validate_reference])
    read_dsn_ref = models.CharField(
        "DSN reference for reading",
        max_length=200,
        blank=True,
        validators=[validate_reference],
        help_text="A less powerful role for diagnosis.",
    )
    schemas = ArrayField(
        models.CharField(max_length=63),
        default=list,
        blank=True,
        help_text="Schemas to look at; empty means all of the application.",
    )
    external_ids = models.JSONField(default=dict, blank=True)
    parity_tables = ArrayField(
        models.CharField(max_length=130),
        default=list,
        blank=True,
        help_text="Tables whose rows must be the same as in the source of truth.",
    )

    schema_profile = models.CharField(
        max_length=20,
        choices=[(AUTO, "By the roles that are there"), *((one.name, one.title) for one in PROFILES.values())],
        default=AUTO,
        help_text="Whose own schemas, roles and event triggers are left out: see manage.py schema profiles.",
    )
    leave_out = models.JSONField(
        default=dict,
        blank=True,
        validators=[validate_patterns],
        help_text='What else is left out, as {"schemas": ["audit_*"], "roles": ["vendor"]}; also event_triggers, extensions, '
        "publications.",
    )

    class Meta:
        ordering = ["environment", "name"]
        constraints = [models.UniqueConstraint(fields=["environment", "name"], name="database_name_once")]
        permissions = [
            ("run_diagnosis", "Can run the diagnosis"),
            ("run_backup", "Can take backups"),
            ("run_sync", "Can sync data to less trusted environments"),
            ("run_cleanup", "Can run cleanup rules"),
        ]

    def __str__(self) -> str:
        return f"{self.environment}:{self.name}"

    @property
    def profile(self) -> Choice:
        """What is left out of its schema."""
        return Choice(self.schema_profile, self.leave_out)

    def clean(self) -> None:
        """What protects an environment hangs on its row: under another one its database could be changed without approval."""
        if self.environment_id is None:  # a form with a mistake elsewhere
            return
        own = {self.dsn_ref, self.read_dsn_ref} - {""}
        others = ManagedDatabase.objects.filter(Q(dsn_ref__in=own) | Q(read_dsn_ref__in=own)).exclude(
            environment_id=self.environment_id
        )
        if not self.environment.protected:
            others = others.filter(environment__protected=True)
        other = others.select_related("environment__application").first()
        if other is not None:
            shared = ", ".join(sorted(own & {other.dsn_ref, other.read_dsn_ref}))
            raise ValidationError(
                {"dsn_ref": f"{shared} is a reference of {other}: a protected environment shares its database with none."}
            )


class VariableRule(models.Model):
    """One line of an application's environment contract."""

    application = models.ForeignKey(Application, on_delete=models.CASCADE, related_name="variable_rules")
    component = models.CharField(
        max_length=39, blank=True, help_text="Name of the component; empty means every component with variables."
    )
    key = models.CharField(max_length=120)
    required = models.BooleanField(default=True)
    secret = models.BooleanField(default=False, help_text="Must not be shared between environments.")
    kind = models.CharField(
        max_length=12,
        choices=[("text", "Text"), ("url", "URL"), ("postgres", "PostgreSQL DSN"), ("boolean", "Boolean"), ("number", "Number")],
        default="text",
    )
    allowed = ArrayField(
        models.CharField(max_length=200), default=list, blank=True, help_text="The only values that may be set; empty means any."
    )
    per_environment = models.JSONField(
        default=dict, blank=True, help_text='What the value must contain, as {"staging": "staging"}.'
    )
    require_tls = models.BooleanField(default=False, help_text="PostgreSQL DSN: sslmode must be require or stricter.")
    allow_local = models.BooleanField(default=False, help_text="The value may point at localhost.")

    class Meta:
        ordering = ["application", "component", "key"]
        constraints = [models.UniqueConstraint(fields=["application", "component", "key"], name="variable_rule_once")]

    def __str__(self) -> str:
        return f"{self.application}: {self.key}"
