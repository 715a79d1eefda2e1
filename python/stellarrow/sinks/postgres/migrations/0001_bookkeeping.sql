-- What every table needs: what is kept, which ledgers are covered, partitions and their indexes.

CREATE SCHEMA IF NOT EXISTS contract_data;

-- How each table was made; another way of making it would be another table.
CREATE TABLE stellar.kept_tables (
    table_name text PRIMARY KEY,
    version text NOT NULL,
    network text NOT NULL,
    filter text NOT NULL,
    decoded boolean NOT NULL,
    transfers text NOT NULL,
    partition_ledgers bigint NOT NULL CHECK (partition_ledgers > 0)
);

-- Moved in the transaction that adds the rows. A writer locks a table's row before it looks and writes, so
-- that two of them never add the same ledger.
CREATE TABLE contract_data.ledger_coverage (
    table_name text PRIMARY KEY,
    ledgers int8multirange NOT NULL DEFAULT '{}'
);

CREATE TABLE contract_data.ingestion_progress (
    batch_id uuid PRIMARY KEY,
    start_ledger bigint NOT NULL,
    end_ledger bigint NOT NULL,
    entries_processed bigint NOT NULL DEFAULT 0,
    started_at timestamptz NOT NULL,
    completed_at timestamptz,
    status text NOT NULL CHECK (status IN ('processing', 'completed', 'failed')),
    error_message text
);

CREATE INDEX ingestion_progress_ledgers ON contract_data.ingestion_progress (start_ledger, end_ledger);

-- Partitions that are being loaded bare, outside their table, and what they hold so far.
CREATE TABLE stellar.loading (
    table_name text NOT NULL,
    first_ledger bigint NOT NULL,
    partition_name text NOT NULL,
    ledgers int8multirange NOT NULL DEFAULT '{}',
    PRIMARY KEY (table_name, first_ledger)
);

-- Contract ids of Stellar Asset Contracts, each derived from the asset and the network.
CREATE TABLE stellar.assets (
    contract_id text COLLATE "C" PRIMARY KEY,
    asset_type text NOT NULL CHECK (asset_type IN ('native', 'credit_alphanum4', 'credit_alphanum12')),
    asset_code text COLLATE "C",
    asset_issuer text COLLATE "C",
    UNIQUE NULLS NOT DISTINCT (asset_code, asset_issuer)
);

-- Give a partition the indexes of its table, so that attaching it finds them made.
CREATE FUNCTION stellar.index_like(child regclass, parent regclass) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    wanted record;
BEGIN
    FOR wanted IN
        SELECT pg_get_indexdef(i.indexrelid) AS index, pg_get_constraintdef(c.oid) AS "constraint"
        FROM pg_index i
        LEFT JOIN pg_constraint c ON c.conindid = i.indexrelid AND c.conrelid = i.indrelid AND c.contype = 'p'
        WHERE i.indrelid = parent
        ORDER BY i.indexrelid
    LOOP
        EXECUTE CASE
            WHEN wanted."constraint" IS NOT NULL THEN format('ALTER TABLE %s ADD %s', child, wanted."constraint")
            ELSE regexp_replace(wanted.index, ' INDEX .* ON (ONLY )?\S+ USING ', format(' INDEX ON %s USING ', child))
        END;
    END LOOP;
END $$;
