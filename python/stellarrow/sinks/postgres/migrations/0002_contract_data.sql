-- Contract data: every change, and the latest state of every key.

CREATE TABLE contract_data.entries (
    ledger_sequence bigint NOT NULL,
    closed_at timestamptz NOT NULL,
    transaction_index bigint NOT NULL,
    transaction_hash text COLLATE "C" NOT NULL,
    operation_index bigint,
    change_index bigint NOT NULL,
    change_type text COLLATE "C" NOT NULL,
    contract_id text COLLATE "C" NOT NULL,
    contract_key_type text COLLATE "C" NOT NULL,
    contract_durability text COLLATE "C" NOT NULL,
    asset_code text COLLATE "C",
    asset_issuer text COLLATE "C",
    asset_type text COLLATE "C",
    balance_holder text COLLATE "C",
    balance numeric(39, 0),
    balance_text text COLLATE "C",
    last_modified_ledger bigint NOT NULL,
    deleted boolean NOT NULL,
    ledger_key_hash text COLLATE "C",
    key_xdr text COLLATE "C",
    val_xdr text COLLATE "C",
    contract_instance_type text COLLATE "C",
    contract_instance_wasm_hash text COLLATE "C",
    expiration_ledger_seq bigint,
    key_json json,
    val_json json,
    ingested_at timestamptz NOT NULL DEFAULT now(),
    batch_id uuid NOT NULL,
    PRIMARY KEY (ledger_sequence, transaction_index, change_index)
) PARTITION BY RANGE (ledger_sequence);

CREATE INDEX entries_contract ON contract_data.entries (contract_id, ledger_sequence);
CREATE INDEX entries_key ON contract_data.entries USING hash (ledger_key_hash);
CREATE INDEX entries_asset ON contract_data.entries (asset_code, asset_issuer) WHERE asset_type IS NOT NULL;
CREATE INDEX entries_holder ON contract_data.entries (balance_holder, ledger_sequence)
    WHERE balance_holder IS NOT NULL;
CREATE INDEX entries_closed_at ON contract_data.entries USING brin (closed_at);

-- The last change of every key that is there; a key that a transaction removed is not.
CREATE TABLE contract_data.current_states (
    LIKE contract_data.entries INCLUDING DEFAULTS,
    PRIMARY KEY (ledger_key_hash)
);

CREATE INDEX current_states_contract ON contract_data.current_states (contract_id, balance DESC NULLS LAST);
CREATE INDEX current_states_holder ON contract_data.current_states (balance_holder)
    WHERE balance_holder IS NOT NULL;

-- When a key was last removed: ledgers may arrive in any order, and an older state must not bring it back.
CREATE TABLE contract_data.removed_states (
    ledger_key_hash text COLLATE "C" PRIMARY KEY,
    ledger_sequence bigint NOT NULL,
    transaction_index bigint NOT NULL,
    change_index bigint NOT NULL
);
