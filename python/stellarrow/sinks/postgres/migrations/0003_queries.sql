-- What people ask: who holds an asset, what moved, what was busy.

CREATE VIEW contract_data.asset_summary AS
SELECT
    coalesce(a.asset_code, 'native') AS asset_code,
    a.asset_issuer,
    count(*) FILTER (WHERE s.balance > 0) AS holder_count,
    sum(s.balance) AS total_supply,
    max(s.closed_at) AS last_activity
FROM stellar.assets a
JOIN contract_data.current_states s USING (contract_id)
WHERE s.balance IS NOT NULL
GROUP BY a.asset_code, a.asset_issuer;

COMMENT ON VIEW contract_data.asset_summary IS
    'What contracts hold of each asset: balances of G… accounts lie in trustlines, which are no contract data.';

CREATE VIEW contract_data.recent_activity AS
SELECT
    contract_id,
    count(*) AS change_count,
    min(closed_at) AS first_change,
    max(closed_at) AS last_change,
    array_agg(DISTINCT contract_key_type) AS key_types
FROM contract_data.entries
WHERE closed_at > now() - interval '24 hours'
GROUP BY contract_id;

CREATE FUNCTION contract_data.get_balance_history(p_contract_id text, p_limit integer DEFAULT 100)
RETURNS TABLE (
    ledger_sequence bigint, closed_at timestamptz, balance_holder text, balance numeric, deleted boolean
)
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT e.ledger_sequence, e.closed_at, e.balance_holder, e.balance, e.deleted
    FROM contract_data.entries e
    WHERE e.contract_id = p_contract_id AND e.balance IS NOT NULL
    ORDER BY e.ledger_sequence DESC, e.transaction_index DESC, e.change_index DESC
    LIMIT p_limit
$$;

CREATE FUNCTION contract_data.get_top_holders(
    p_asset_code text, p_asset_issuer text DEFAULT NULL, p_limit integer DEFAULT 100
)
RETURNS TABLE (balance_holder text, balance numeric, last_modified_ledger bigint, closed_at timestamptz)
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT s.balance_holder, s.balance, s.last_modified_ledger, s.closed_at
    FROM contract_data.current_states s
    WHERE s.contract_id = (
        SELECT a.contract_id
        FROM stellar.assets a
        WHERE CASE WHEN coalesce(p_asset_issuer, '') = ''
            THEN a.asset_type = 'native' AND p_asset_code IN ('native', 'XLM')
            ELSE a.asset_code = p_asset_code AND a.asset_issuer = p_asset_issuer
        END
    ) AND s.balance > 0
    ORDER BY s.balance DESC NULLS LAST
    LIMIT p_limit
$$;

-- Bring the states up to some ledgers of a partition. In order: no entry of a later ledger was there before.
CREATE FUNCTION contract_data.advance_states(
    p_partition regclass, p_first bigint, p_last bigint, p_in_order boolean
)
RETURNS void
LANGUAGE plpgsql
-- Few keys among millions of states: look each one up, whatever the statistics say.
SET enable_hashjoin = off
SET enable_mergejoin = off
SET work_mem = '64MB'
AS $$
DECLARE
    -- The last place of each key; whole rows are fetched after, because they would not be sorted in memory.
    latest text := format(
        'SELECT DISTINCT ON (ledger_key_hash)'
        ' ledger_key_hash, ledger_sequence, transaction_index, change_index, ctid AS place'
        ' FROM %s WHERE ledger_sequence BETWEEN %s AND %s AND (deleted OR %%L)'
        ' ORDER BY ledger_key_hash, ledger_sequence DESC, transaction_index DESC, change_index DESC',
        p_partition, p_first, p_last
    );
BEGIN
    EXECUTE format($sql$
        WITH removed AS (
            INSERT INTO contract_data.removed_states AS kept
            SELECT ledger_key_hash, ledger_sequence, transaction_index, change_index FROM (%1$s) gone
            ON CONFLICT (ledger_key_hash) DO UPDATE SET
                ledger_sequence = excluded.ledger_sequence,
                transaction_index = excluded.transaction_index,
                change_index = excluded.change_index
            WHERE (kept.ledger_sequence, kept.transaction_index, kept.change_index)
                < (excluded.ledger_sequence, excluded.transaction_index, excluded.change_index)
            RETURNING ledger_key_hash, ledger_sequence, transaction_index, change_index
        )
        DELETE FROM contract_data.current_states kept USING removed
        WHERE kept.ledger_key_hash = removed.ledger_key_hash
            AND (kept.ledger_sequence, kept.transaction_index, kept.change_index)
            < (removed.ledger_sequence, removed.transaction_index, removed.change_index)
    $sql$, format(latest, false));

    EXECUTE format($sql$
        INSERT INTO contract_data.current_states AS kept
        SELECT entry.*
        FROM (%1$s) latest
        JOIN %2$s entry ON entry.ctid = latest.place
        WHERE NOT entry.deleted AND (%3$L OR NOT EXISTS (
            SELECT FROM contract_data.removed_states removed
            WHERE removed.ledger_key_hash = latest.ledger_key_hash
                AND (removed.ledger_sequence, removed.transaction_index, removed.change_index)
                > (latest.ledger_sequence, latest.transaction_index, latest.change_index)
        ))
        ON CONFLICT (ledger_key_hash) DO UPDATE SET
            ledger_sequence = excluded.ledger_sequence,
            closed_at = excluded.closed_at,
            transaction_index = excluded.transaction_index,
            transaction_hash = excluded.transaction_hash,
            operation_index = excluded.operation_index,
            change_index = excluded.change_index,
            change_type = excluded.change_type,
            asset_code = excluded.asset_code,
            asset_issuer = excluded.asset_issuer,
            asset_type = excluded.asset_type,
            balance_holder = excluded.balance_holder,
            balance = excluded.balance,
            balance_text = excluded.balance_text,
            last_modified_ledger = excluded.last_modified_ledger,
            deleted = excluded.deleted,
            val_xdr = excluded.val_xdr,
            contract_instance_type = excluded.contract_instance_type,
            contract_instance_wasm_hash = excluded.contract_instance_wasm_hash,
            expiration_ledger_seq = excluded.expiration_ledger_seq,
            val_json = excluded.val_json,
            ingested_at = excluded.ingested_at,
            batch_id = excluded.batch_id
        WHERE (kept.ledger_sequence, kept.transaction_index, kept.change_index)
            < (excluded.ledger_sequence, excluded.transaction_index, excluded.change_index)
    $sql$, format(latest, true), p_partition, p_in_order);
END $$;

CREATE FUNCTION contract_data.refresh_current_states() RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM FROM contract_data.ledger_coverage WHERE table_name = 'contract_data.entries' FOR UPDATE;
    DELETE FROM contract_data.current_states;
    DELETE FROM contract_data.removed_states;
    PERFORM contract_data.advance_states(inhrelid, 0, 4294967295, false)
    FROM pg_inherits
    WHERE inhparent = 'contract_data.entries'::regclass;
END $$;

COMMENT ON FUNCTION contract_data.refresh_current_states() IS
    'Rebuild current_states from entries, which sinks keep up by themselves: only needed after changes by hand.';
