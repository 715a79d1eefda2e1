-- Profiles: which indexes the tables have.

ALTER TABLE stellar.kept_tables ADD COLUMN IF NOT EXISTS
    profile text NOT NULL DEFAULT 'full' CHECK (profile IN ('full', 'lean'));

-- Indexes that lean tables are without, as `full` makes them again.
CREATE TABLE IF NOT EXISTS stellar.left_out_indexes (
    table_name text NOT NULL,
    definition text NOT NULL,
    PRIMARY KEY (table_name, definition)
);

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
    END LOOP;
    UPDATE stellar.kept_tables SET profile = 'lean' WHERE table_name = p_table;
END $$;

-- Make what lean tables are without, and commit after each index of each partition, so that writers wait for
-- one of them at a time. Where it was interrupted it goes on when it is called again.
CREATE OR REPLACE PROCEDURE stellar.make_full()
LANGUAGE plpgsql AS $$
DECLARE
    cut constant text := '^.* ON (ONLY )?\S+ USING ';
    missing stellar.left_out_indexes;
    part regclass;
BEGIN
    LOOP
        SELECT * INTO missing FROM stellar.left_out_indexes ORDER BY table_name, definition LIMIT 1;
        EXIT WHEN NOT FOUND;
        LOOP
            SELECT inhrelid INTO part FROM pg_inherits
            WHERE inhparent = missing.table_name::regclass AND NOT EXISTS (
                SELECT FROM pg_index i
                WHERE i.indrelid = inhrelid
                    AND regexp_replace(pg_get_indexdef(i.indexrelid), cut, '')
                    = regexp_replace(missing.definition, cut, '')
            )
            ORDER BY inhrelid LIMIT 1;
            EXIT WHEN NOT FOUND;
            EXECUTE regexp_replace(missing.definition, cut, format('CREATE INDEX ON %s USING ', part));
            COMMIT;
        END LOOP;
        EXECUTE replace(missing.definition, ' ON ONLY ', ' ON ');
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
        CALL stellar.make_full();
        UPDATE stellar.kept_tables SET profile = 'full';
        DROP INDEX IF EXISTS contract_data.current_states_lean;
        ALTER TABLE contract_data.current_states RESET (fillfactor);
        RETURN;
    END IF;
    FOR place IN SELECT table_name FROM stellar.kept_tables ORDER BY table_name LOOP
        PERFORM stellar.make_lean(place);
        COMMIT;
    END LOOP;
END $$;

COMMENT ON PROCEDURE stellar.use_profile(text) IS
    'Gives the tables all indexes (full), or their key and those by contract and by time alone (lean).';
