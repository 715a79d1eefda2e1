-- How many rows of each ledger were written, so that rows that are gone are noticed and can be written again.

-- Ledgers from first_ledger on, 1,000 at most, the rows of each; those that an earlier release wrote are not here.
CREATE TABLE stellar.written_rows (
    table_name text NOT NULL,
    first_ledger bigint NOT NULL,
    counts integer[] NOT NULL CHECK (cardinality(counts) BETWEEN 1 AND 1000)
);

CREATE INDEX written_rows_ledgers ON stellar.written_rows (table_name, first_ledger);

CREATE FUNCTION stellar.forget_ledgers(p_table text, p_first bigint, p_last bigint) RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
    gone bigint;
BEGIN
    PERFORM FROM contract_data.ledger_coverage WHERE table_name = p_table FOR UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'stellarrow keeps no table %', p_table
            USING HINT = 'contract_data.ledger_coverage lists them, such as contract_data.entries';
    END IF;
    EXECUTE format('DELETE FROM %s WHERE ledger_sequence BETWEEN $1 AND $2', p_table) USING p_first, p_last;
    GET DIAGNOSTICS gone = ROW_COUNT;
    UPDATE contract_data.ledger_coverage
    SET ledgers = ledgers - int8multirange(int8range(p_first, p_last, '[]'))
    WHERE table_name = p_table;
    WITH forgotten AS (
        DELETE FROM stellar.written_rows
        WHERE table_name = p_table AND first_ledger BETWEEN p_first - 999 AND p_last
            AND first_ledger + cardinality(counts) > p_first
        RETURNING *
    )
    INSERT INTO stellar.written_rows
    SELECT p_table, first_ledger, counts[: p_first - first_ledger] FROM forgotten WHERE first_ledger < p_first
    UNION ALL
    SELECT p_table, p_last + 1, counts[p_last - first_ledger + 2 :] FROM forgotten
    WHERE first_ledger + cardinality(counts) > p_last + 1;
    RETURN gone;
END $$;

COMMENT ON FUNCTION stellar.forget_ledgers(text, bigint, bigint) IS
    'Removes a table''s rows of these ledgers and their coverage; the next extract writes them again.';
