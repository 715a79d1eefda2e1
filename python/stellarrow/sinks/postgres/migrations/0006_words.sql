-- Events in words.

DO $$
DECLARE
    place text;
BEGIN
    -- Tables that were made before, with the partitions that are still loaded apart from them.
    FOR place IN
        SELECT table_name FROM stellar.kept_tables
        WHERE table_name IN ('stellar.contract_events', 'stellar.token_transfer_anomalies')
        UNION
        SELECT partition_name FROM stellar.loading
        WHERE table_name IN ('stellar.contract_events', 'stellar.token_transfer_anomalies')
    LOOP
        EXECUTE format('ALTER TABLE %s ADD COLUMN IF NOT EXISTS event_text text COLLATE "C"', place);
    END LOOP;
END $$;
