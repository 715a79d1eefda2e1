-- Room in the pages of states: one that changes where nothing that is indexed does stays in its page, and none of its
-- indexes is touched. Pages that are full already stay so; no row is moved.

ALTER TABLE contract_data.current_states SET (fillfactor = 80);

-- As before, but that the room stays, whatever the profile.
CREATE OR REPLACE PROCEDURE stellar.use_profile(p_profile text)
LANGUAGE plpgsql AS $$
DECLARE
    place text;
BEGIN
    IF p_profile IS NULL OR p_profile NOT IN ('full', 'lean') THEN
        RAISE EXCEPTION 'the profile % is not known', coalesce(p_profile, 'NULL')
            USING HINT = 'write CALL stellar.use_profile(''full'') or CALL stellar.use_profile(''lean'')';
    END IF;
    IF p_profile = 'full' THEN
        LOOP
            CALL stellar.make_full();
            -- Whoever makes a table, as the others are until then, holds this lock.
            PERFORM pg_advisory_xact_lock(6004500397190894162);
            EXIT WHEN NOT EXISTS (SELECT FROM stellar.left_out_indexes);
            COMMIT;
        END LOOP;
        UPDATE stellar.kept_tables SET profile = 'full';
        DROP INDEX IF EXISTS contract_data.current_states_lean;
        RETURN;
    END IF;
    FOR place IN SELECT table_name FROM stellar.kept_tables ORDER BY table_name LOOP
        PERFORM stellar.make_lean(place);
        COMMIT;
    END LOOP;
    LOOP  -- those that were made meanwhile
        PERFORM pg_advisory_xact_lock(6004500397190894162);
        SELECT table_name INTO place FROM stellar.kept_tables
        WHERE profile = 'full' ORDER BY table_name LIMIT 1;
        EXIT WHEN NOT FOUND;
        PERFORM stellar.make_lean(place);
        COMMIT;
    END LOOP;
END $$;
