-- Bring current_states up in one pass over new entries: each key's last change updates, inserts or deletes its
-- state. Only removals that are last go to removed_states; what followed a removal stands in current_states itself.

CREATE OR REPLACE FUNCTION contract_data.advance_states(
    p_partition regclass, p_first bigint, p_last bigint, p_in_order boolean
)
RETURNS void
LANGUAGE plpgsql
-- Few keys among millions of states: look each one up, whatever the statistics say.
SET enable_hashjoin = off
SET enable_mergejoin = off
SET work_mem = '64MB'
AS $$
BEGIN
    EXECUTE format($sql$
        WITH latest AS MATERIALIZED (
            SELECT DISTINCT ON (ledger_key_hash)
                ledger_key_hash, ledger_sequence, transaction_index, change_index, deleted, ctid AS place
            FROM %1$s
            WHERE ledger_sequence BETWEEN %2$s AND %3$s
            ORDER BY ledger_key_hash, ledger_sequence DESC, transaction_index DESC, change_index DESC
        ),
        removed AS (
            INSERT INTO contract_data.removed_states AS kept
            SELECT ledger_key_hash, ledger_sequence, transaction_index, change_index FROM latest WHERE deleted
            ON CONFLICT (ledger_key_hash) DO UPDATE SET
                ledger_sequence = excluded.ledger_sequence,
                transaction_index = excluded.transaction_index,
                change_index = excluded.change_index
            WHERE (kept.ledger_sequence, kept.transaction_index, kept.change_index)
                < (excluded.ledger_sequence, excluded.transaction_index, excluded.change_index)
        )
        MERGE INTO contract_data.current_states kept
        USING (
            SELECT entry.*
            FROM latest
            JOIN %1$s entry ON entry.ctid = latest.place
            LEFT JOIN contract_data.removed_states removed
                ON NOT %4$L AND removed.ledger_key_hash = latest.ledger_key_hash
                AND (removed.ledger_sequence, removed.transaction_index, removed.change_index)
                > (latest.ledger_sequence, latest.transaction_index, latest.change_index)
            WHERE removed.ledger_key_hash IS NULL
        ) entry
        ON kept.ledger_key_hash = entry.ledger_key_hash
        WHEN MATCHED AND (kept.ledger_sequence, kept.transaction_index, kept.change_index)
            >= (entry.ledger_sequence, entry.transaction_index, entry.change_index) THEN DO NOTHING
        WHEN MATCHED AND entry.deleted THEN DELETE
        WHEN MATCHED THEN UPDATE SET
            ledger_sequence = entry.ledger_sequence,
            closed_at = entry.closed_at,
            transaction_index = entry.transaction_index,
            transaction_hash = entry.transaction_hash,
            operation_index = entry.operation_index,
            change_index = entry.change_index,
            change_type = entry.change_type,
            asset_code = entry.asset_code,
            asset_issuer = entry.asset_issuer,
            asset_type = entry.asset_type,
            balance_holder = entry.balance_holder,
            balance = entry.balance,
            balance_text = entry.balance_text,
            last_modified_ledger = entry.last_modified_ledger,
            deleted = entry.deleted,
            val_xdr = entry.val_xdr,
            contract_instance_type = entry.contract_instance_type,
            contract_instance_wasm_hash = entry.contract_instance_wasm_hash,
            expiration_ledger_seq = entry.expiration_ledger_seq,
            val_json = entry.val_json,
            ingested_at = entry.ingested_at,
            batch_id = entry.batch_id
        WHEN NOT MATCHED AND NOT entry.deleted THEN INSERT VALUES (entry.*)
    $sql$, p_partition, p_first, p_last, p_in_order);
END $$;
