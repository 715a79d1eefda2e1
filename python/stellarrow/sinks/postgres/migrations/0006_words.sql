-- Events in words, and types of assets in the same words everywhere: native, credit_alphanum4, credit_alphanum12.

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

    FOR place IN
        VALUES ('contract_data.entries'), ('contract_data.current_states')
        UNION
        SELECT partition_name FROM stellar.loading WHERE table_name = 'contract_data.entries'
    LOOP
        EXECUTE format($sql$
            UPDATE %s SET asset_type = CASE asset_type
                WHEN 'AssetTypeAssetTypeNative' THEN 'native'
                WHEN 'AssetTypeAssetTypeCreditAlphanum4' THEN 'credit_alphanum4'
                ELSE 'credit_alphanum12'
            END
            WHERE asset_type LIKE 'AssetType%%'
        $sql$, place);
    END LOOP;
END $$;
