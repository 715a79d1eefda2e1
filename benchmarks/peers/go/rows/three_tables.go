package rows

import (
	"encoding/hex"

	"github.com/stellar/go-stellar-sdk/ingest"
	"github.com/stellar/go-stellar-sdk/xdr"
)

// Ledger has the columns of the table ledgers, version 1.0.
type Ledger struct {
	Sequence         uint32 `json:"ledger_sequence"`
	Hash             string `json:"ledger_hash"`
	PreviousHash     string `json:"previous_ledger_hash"`
	ClosedAt         int64  `json:"closed_at"`
	ProtocolVersion  uint32 `json:"protocol_version"`
	TotalCoins       int64  `json:"total_coins"`
	FeePool          int64  `json:"fee_pool"`
	BaseFee          uint32 `json:"base_fee"`
	BaseReserve      uint32 `json:"base_reserve"`
	MaxTxSetSize     uint32 `json:"max_tx_set_size"`
	Transactions     uint32 `json:"transaction_count"`
	SuccessfulOfThem uint32 `json:"successful_transaction_count"`
	MetaVersion      int32  `json:"meta_version"`
	SizeBytes        int    `json:"size_bytes"`
}

type threeTables struct {
	decoder
	passphrase string
	data       *contractData
	events     *contractEvents
}

func newThreeTables(d decoder, passphrase string) (Maker, error) {
	data, err := newContractData(d, passphrase)
	return &threeTables{d, passphrase, data, newContractEvents(d, passphrase)}, err
}

// threeRows are one ledger's row of ledgers, then those of contract_data, then those of contract_events.
type threeRows struct {
	ledger Ledger
	data   list[ContractData]
	events list[ContractEvent]
}

func (r threeRows) Len() int { return 1 + len(r.data) + len(r.events) }

func (r threeRows) At(i int) any {
	switch {
	case i == 0:
		return r.ledger
	case i <= len(r.data):
		return r.data[i-1]
	}
	return r.events[i-1-len(r.data)]
}

// Make decodes the ledger once and fills all three tables in one pass over its transactions.
func (t *threeTables) Make(ledger []byte) (Rows, error) {
	meta, err := t.ledger(ledger)
	if err != nil {
		return nil, err
	}
	made := threeRows{ledger: ledgerRow(meta, len(ledger))}
	t.data.rows, t.events.rows = t.data.rows[:0], t.events.rows[:0]
	err = visitTransactions(meta, t.passphrase, func(tx *ingest.LedgerTransaction) error {
		if tx.Successful() {
			made.ledger.SuccessfulOfThem++
		}
		if err := t.data.transaction(tx); err != nil {
			return err
		}
		return t.events.transaction(tx)
	})
	made.data, made.events = t.data.rows, t.events.rows
	return made, err
}

func ledgerRow(meta xdr.LedgerCloseMeta, size int) Ledger {
	entry := meta.LedgerHeaderHistoryEntry()
	header := entry.Header
	return Ledger{
		Sequence: meta.LedgerSequence(), ClosedAt: meta.LedgerCloseTime(), ProtocolVersion: meta.ProtocolVersion(),
		Hash: hex.EncodeToString(entry.Hash[:]), PreviousHash: hex.EncodeToString(header.PreviousLedgerHash[:]),
		TotalCoins: int64(header.TotalCoins), FeePool: int64(header.FeePool), BaseFee: uint32(header.BaseFee),
		BaseReserve: uint32(header.BaseReserve), MaxTxSetSize: uint32(header.MaxTxSetSize),
		Transactions: uint32(meta.CountTransactions()), MetaVersion: meta.V, SizeBytes: size,
	}
}
