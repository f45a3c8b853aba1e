"""A trigger keeps the audit trail append-only, for every role and every tool."""

from django.db import migrations

FORWARD = """
CREATE FUNCTION core_auditevent_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'The audit trail is append-only: % is refused.', TG_OP USING ERRCODE = 'integrity_constraint_violation';
END $$;
CREATE TRIGGER core_auditevent_no_change BEFORE UPDATE OR DELETE ON core_auditevent
    FOR EACH ROW EXECUTE FUNCTION core_auditevent_is_append_only();
CREATE TRIGGER core_auditevent_no_truncate BEFORE TRUNCATE ON core_auditevent
    FOR EACH STATEMENT EXECUTE FUNCTION core_auditevent_is_append_only();
"""
REVERSE = """
DROP TRIGGER core_auditevent_no_change ON core_auditevent;
DROP TRIGGER core_auditevent_no_truncate ON core_auditevent;
DROP FUNCTION core_auditevent_is_append_only();
"""


class Migration(migrations.Migration):
    dependencies = [("core", "0001_initial")]
    operations = [migrations.RunSQL(FORWARD, REVERSE)]
