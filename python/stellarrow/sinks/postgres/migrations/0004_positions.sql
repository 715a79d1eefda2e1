-- Where consumers were in the streams they read; what came before is in the tables.

CREATE TABLE stellar.positions (
    stream text PRIMARY KEY,
    place text NOT NULL,
    ledger bigint NOT NULL,
    moved_at timestamptz NOT NULL DEFAULT now()
);
