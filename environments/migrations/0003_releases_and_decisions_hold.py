"""What a release is made of never changes, and no promotion counts as approved without its approvals, whoever writes the row."""

from django.db import migrations

FORWARD = """
CREATE FUNCTION environments_release_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (NEW.application_id, NEW.version, NEW.commit_sha, NEW.artifacts, NEW.migrations, NEW.created_by_id, NEW.created_at)
        IS DISTINCT FROM
       (OLD.application_id, OLD.version, OLD.commit_sha, OLD.artifacts, OLD.migrations, OLD.created_by_id, OLD.created_at) THEN
        RAISE EXCEPTION 'What a release is made of never changes: record a new version.' USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER environments_release_guard BEFORE UPDATE ON environments_release
    FOR EACH ROW EXECUTE FUNCTION environments_release_guard();

CREATE FUNCTION environments_promotion_quorum() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE needed integer; counted integer;
BEGIN
    IF NEW.state IN ('approved', 'executing') AND OLD.state IN ('draft', 'evaluating', 'blocked', 'awaiting', 'approved', 'held', 'stale') THEN
        SELECT greatest(NEW.required_approvals, required_approvals, protected::integer) INTO needed
            FROM environments_environment WHERE id = NEW.target_id;
        SELECT count(DISTINCT approver_id) INTO counted FROM environments_approval
            WHERE promotion_id = NEW.id AND round = NEW.round AND digest = NEW.digest AND decision = 'approved'
              AND approver_id <> NEW.requester_id;
        IF counted < needed THEN
            RAISE EXCEPTION 'The promotion needs % approvals of exactly this and has %.', needed, counted
                USING ERRCODE = 'integrity_constraint_violation';
        END IF;
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER environments_promotion_quorum BEFORE UPDATE ON environments_promotion
    FOR EACH ROW EXECUTE FUNCTION environments_promotion_quorum();
"""
REVERSE = """
DROP TRIGGER environments_release_guard ON environments_release;
DROP FUNCTION environments_release_guard();
DROP TRIGGER environments_promotion_quorum ON environments_promotion;
DROP FUNCTION environments_promotion_quorum();
"""


class Migration(migrations.Migration):
    dependencies = [("environments", "0002_guards")]
    operations = [migrations.RunSQL(FORWARD, REVERSE)]
