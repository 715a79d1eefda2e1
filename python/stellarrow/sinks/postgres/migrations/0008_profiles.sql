-- Profiles: which indexes the tables have.

ALTER TABLE stellar.kept_tables ADD COLUMN IF NOT EXISTS
    profile text NOT NULL DEFAULT 'full' CHECK (profile IN ('full', 'lean'));

-- Indexes that lean tables are without, as `full` makes them again.
CREATE TABLE IF NOT EXISTS stellar.left_out_indexes (
    table_name text NOT NULL,
    definition text NOT NULL,
    PRIMARY KEY (table_name, definition)
);

-- What an index is of: its definition without its name and its table's.
CREATE OR REPLACE FUNCTION stellar.index_body(definition text) RETURNS text
LANGUAGE sql IMMUTABLE AS $$ SELECT regexp_replace(definition, '^.* ON (ONLY )?\S+ USING ', '') $$;

-- Take from a table what lean tables are without: all but its key, its index by contract and the one by time.
CREATE OR REPLACE FUNCTION stellar.make_lean(p_table text) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    places text[] := ARRAY[p_table];
    place text;
    unwanted record;
BEGIN
    -- In the order in which writers lock them, so that none waits in a ring.
    EXECUTE format('LOCK TABLE %s IN ACCESS EXCLUSIVE MODE', p_table);
    IF p_table = 'contract_data.entries' THEN
        places := places || 'contract_data.current_states'::text;
        -- Not ordered by balance: then an update of a balance touches no index, where its page has room for it.
        CREATE INDEX IF NOT EXISTS current_states_lean ON contract_data.current_states (contract_id);
        ALTER TABLE contract_data.current_states SET (fillfactor = 80);
    END IF;
    FOREACH place IN ARRAY places LOOP
        FOR unwanted IN
            SELECT i.indexrelid::regclass AS name, pg_get_indexdef(i.indexrelid) AS definition
            FROM pg_index i
            JOIN pg_class c ON c.oid = i.indexrelid
            JOIN pg_am am ON am.oid = c.relam
            WHERE i.indrelid = place::regclass AND NOT i.indisunique AND am.amname <> 'brin'
                AND (
                    pg_get_indexdef(i.indexrelid, 1, true) <> 'contract_id'
                    OR c.relname = 'current_states_contract'
                )
        LOOP
            INSERT INTO stellar.left_out_indexes VALUES (place, unwanted.definition) ON CONFLICT DO NOTHING;
            EXECUTE format('DROP INDEX %s', unwanted.name);
        END LOOP;
        -- Those of partitions, where `full` was interrupted before the table itself had the index.
        FOR unwanted IN
            SELECT i.indexrelid::regclass AS name
            FROM pg_inherits part
            JOIN pg_index i ON i.indrelid = part.inhrelid
            JOIN stellar.left_out_indexes missing ON missing.table_name = place
            WHERE part.inhparent = place::regclass
                AND stellar.index_body(pg_get_indexdef(i.indexrelid)) = stellar.index_body(missing.definition)
        LOOP
            EXECUTE format('DROP INDEX %s', unwanted.name);
        END LOOP;
    END LOOP;
    UPDATE stellar.kept_tables SET profile = 'lean' WHERE table_name = p_table;
END $$;

-- Make what lean tables are without, and commit after each index of each partition, so that writers wait for
-- one of them at a time. Where it was interrupted it goes on when it is called again.
CREATE OR REPLACE PROCEDURE stellar.make_full()
LANGUAGE plpgsql AS $$
DECLARE
    missing stellar.left_out_indexes;
    part regclass;
    alike record;
BEGIN
    LOOP
        SELECT * INTO missing FROM stellar.left_out_indexes ORDER BY table_name, definition LIMIT 1;
        EXIT WHEN NOT FOUND;
        LOOP
            SELECT inhrelid INTO part FROM pg_inherits
            WHERE inhparent = missing.table_name::regclass AND NOT EXISTS (
                SELECT FROM pg_index i
                WHERE i.indrelid = inhrelid
                    AND stellar.index_body(pg_get_indexdef(i.indexrelid)) = stellar.index_body(missing.definition)
            )
            ORDER BY inhrelid LIMIT 1;
            EXIT WHEN NOT FOUND;
            EXECUTE format('CREATE INDEX ON %s USING %s', part, stellar.index_body(missing.definition));
            COMMIT;
        END LOOP;
        -- Somebody may have made it by hand; what was made ON ONLY the table is valid for nobody.
        SELECT i.indexrelid::regclass AS name, i.indisvalid AS is_valid INTO alike
        FROM pg_index i
        WHERE i.indrelid = missing.table_name::regclass
            AND stellar.index_body(pg_get_indexdef(i.indexrelid)) = stellar.index_body(missing.definition)
        ORDER BY i.indisvalid DESC LIMIT 1;
        IF FOUND AND NOT alike.is_valid THEN
            EXECUTE format('DROP INDEX %s', alike.name);
        END IF;
        IF alike.is_valid IS NOT TRUE THEN
            EXECUTE replace(missing.definition, ' ON ONLY ', ' ON ');
        END IF;
        DELETE FROM stellar.left_out_indexes
        WHERE table_name = missing.table_name AND definition = missing.definition;
        COMMIT;
    END LOOP;
END $$;

-- Change the profile of the tables that are there and of those to come.
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
        ALTER TABLE contract_data.current_states RESET (fillfactor);
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

COMMENT ON PROCEDURE stellar.use_profile(text) IS
    'Gives the tables all indexes (full), or their key and those by contract and by time alone (lean).';
