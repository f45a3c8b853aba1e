"""A database's catalogue as plain, immutable values. Names are logical ("public.sessions"); there are no OIDs.

Fields that are marked with :func:`unlike` say something about the moment or repeat other fields; they take no part in
comparison and in fingerprints.
"""

from environments.catalog.values.code import Cast, Function, Operator, OperatorClass
from environments.catalog.values.names import ALL, OWNER, PUBLIC, Grant, Ref, unlike
from environments.catalog.values.relations import (
    Column,
    Constraint,
    Index,
    Policy,
    Rule,
    Sequence,
    SequenceOptions,
    Table,
    Trigger,
    View,
)
from environments.catalog.values.rest import (
    DefaultPrivileges,
    EventTrigger,
    Extension,
    ForeignDataWrapper,
    Publication,
    PublishedTable,
    Role,
    Schema,
    Server,
    Settings,
    Statistics,
    Subscription,
    TextSearchConfiguration,
    TextSearchDictionary,
    UserMapping,
)
from environments.catalog.values.snapshot import NotSeen, Snapshot
from environments.catalog.values.types import Collation, Composite, Domain, Enum, Range

__all__ = [
    "ALL",
    "OWNER",
    "PUBLIC",
    "Cast",
    "Collation",
    "Column",
    "Composite",
    "Constraint",
    "DefaultPrivileges",
    "Domain",
    "Enum",
    "EventTrigger",
    "Extension",
    "ForeignDataWrapper",
    "Function",
    "Grant",
    "Index",
    "NotSeen",
    "Operator",
    "OperatorClass",
    "Policy",
    "Publication",
    "PublishedTable",
    "Range",
    "Ref",
    "Role",
    "Rule",
    "Schema",
    "Sequence",
    "SequenceOptions",
    "Server",
    "Settings",
    "Snapshot",
    "Statistics",
    "Subscription",
    "Table",
    "TextSearchConfiguration",
    "TextSearchDictionary",
    "Trigger",
    "UserMapping",
    "View",
    "unlike",
]
