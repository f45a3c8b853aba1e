"""What the services refuse, the database refuses too: self-approval by any door, approvals that are not there, releases that
change, data that flows the wrong way, and an environment that changes its tier."""

from django.db import migrations

FORWARD = """
CREATE FUNCTION environments_approval_guard() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE promotion record;
BEGIN
    IF TG_OP <> 'INSERT' THEN
        RAISE EXCEPTION 'A decision is never changed or deleted.' USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    SELECT requester_id, digest, round INTO promotion FROM environments_promotion WHERE id = NEW.promotion_id;
    IF NEW.approver_id = promotion.requester_id OR NEW.requester_id IS DISTINCT FROM promotion.requester_id THEN
        RAISE EXCEPTION 'Nobody approves their own request.' USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    IF NEW.digest IS DISTINCT FROM promotion.digest OR NEW.round <> promotion.round THEN
        RAISE EXCEPTION 'The decision is about something else than what the promotion holds now.' USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER environments_approval_guard BEFORE INSERT OR UPDATE OR DELETE ON environments_approval
    FOR EACH ROW EXECUTE FUNCTION environments_approval_guard();

CREATE FUNCTION environments_promotion_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.requester_id <> OLD.requester_id OR NEW.release_id <> OLD.release_id OR NEW.target_id <> OLD.target_id THEN
        RAISE EXCEPTION 'Requester, release and target of a promotion never change.' USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER environments_promotion_guard BEFORE UPDATE ON environments_promotion
    FOR EACH ROW EXECUTE FUNCTION environments_promotion_guard();

CREATE FUNCTION environments_syncplan_guard() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE source record; target record;
BEGIN
    SELECT application_id, array_position(ARRAY['development', 'staging', 'production'], tier::text) AS trust
        INTO source FROM environments_environment WHERE id = NEW.source_id;
    SELECT application_id, array_position(ARRAY['development', 'staging', 'production'], tier::text) AS trust
        INTO target FROM environments_environment WHERE id = NEW.target_id;
    IF source.trust <= target.trust OR source.application_id <> NEW.application_id OR target.application_id <> NEW.application_id THEN
        RAISE EXCEPTION 'Data flows only to less trusted environments of the same application.' USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER environments_syncplan_guard BEFORE INSERT OR UPDATE ON environments_syncplan
    FOR EACH ROW EXECUTE FUNCTION environments_syncplan_guard();

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

CREATE FUNCTION environments_environment_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (NEW.tier, NEW.application_id) IS DISTINCT FROM (OLD.tier, OLD.application_id) AND (
        EXISTS (SELECT FROM environments_manageddatabase WHERE environment_id = OLD.id)
        OR EXISTS (SELECT FROM environments_promotion WHERE target_id = OLD.id OR source_id = OLD.id)) THEN
        RAISE EXCEPTION 'The tier of an environment that is in use never changes: the direction of data and the approvals rest on it.'
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER environments_environment_guard BEFORE UPDATE ON environments_environment
    FOR EACH ROW EXECUTE FUNCTION environments_environment_guard();
"""
REVERSE = """
DROP TRIGGER environments_approval_guard ON environments_approval;
DROP FUNCTION environments_approval_guard();
DROP TRIGGER environments_promotion_guard ON environments_promotion;
DROP FUNCTION environments_promotion_guard();
DROP TRIGGER environments_syncplan_guard ON environments_syncplan;
DROP FUNCTION environments_syncplan_guard();
DROP TRIGGER environments_release_guard ON environments_release;
DROP FUNCTION environments_release_guard();
DROP TRIGGER environments_promotion_quorum ON environments_promotion;
DROP FUNCTION environments_promotion_quorum();
DROP TRIGGER environments_environment_guard ON environments_environment;
DROP FUNCTION environments_environment_guard();
"""


class Migration(migrations.Migration):
    dependencies = [("environments", "0001_initial")]
    operations = [migrations.RunSQL(FORWARD, REVERSE)]
