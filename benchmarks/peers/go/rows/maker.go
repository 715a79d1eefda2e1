// Package rows turns a ledger into the rows of one table by means of the Go SDK.
package rows

import (
	"errors"
	"fmt"
	"io"

	"github.com/stellar/go-stellar-sdk/ingest"
	"github.com/stellar/go-stellar-sdk/processors/token_transfer"
	"github.com/stellar/go-stellar-sdk/xdr"
)

// Rows are what one ledger gave: computed in full, then counted or printed by the caller.
type Rows interface {
	Len() int
	At(int) any
}

// Maker makes the rows of one ledger. It may reuse its buffers, so rows live until the next call.
type Maker interface {
	Make(ledger []byte) (Rows, error)
}

// NewMaker returns the maker for a mode.
func NewMaker(mode, passphrase string) (Maker, error) {
	decoder := decoder{bytes: xdr.NewBytesDecoder()}
	switch mode {
	case "decode":
		return &fullDecode{decoder}, nil
	case "contract_data":
		return newContractData(decoder, passphrase)
	case "contract_events":
		return newContractEvents(decoder, passphrase), nil
	case "three_tables":
		return newThreeTables(decoder, passphrase)
	case "event_views":
		return eventViews{}, nil
	case "token_transfers":
		return newTokenTransfers(decoder, passphrase), nil
	case "unified_transfers":
		return newTokenTransfers(decoder, passphrase, token_transfer.WithUnifiedEventsStreamEnabled()), nil
	}
	return nil, fmt.Errorf("no such mode: %q", mode)
}

// decoder decodes with the reader the SDK keeps between calls, the fastest of its ways to build the whole tree.
type decoder struct{ bytes *xdr.BytesDecoder }

func (d decoder) ledger(ledger []byte) (xdr.LedgerCloseMeta, error) {
	var meta xdr.LedgerCloseMeta
	n, err := d.bytes.DecodeBytes(&meta, ledger)
	if err == nil && n != len(ledger) {
		err = fmt.Errorf("decoding ended at byte %d of %d", n, len(ledger))
	}
	return meta, err
}

// transactions calls visit for every transaction of the ledger in application order.
func (d decoder) transactions(ledger []byte, passphrase string, visit func(*ingest.LedgerTransaction) error) error {
	meta, err := d.ledger(ledger)
	if err != nil {
		return err
	}
	return visitTransactions(meta, passphrase, visit)
}

func visitTransactions(
	meta xdr.LedgerCloseMeta, passphrase string, visit func(*ingest.LedgerTransaction) error,
) error {
	reader, err := ingest.NewLedgerTransactionReaderFromLedgerCloseMeta(passphrase, meta)
	if err != nil {
		return fmt.Errorf("ledger %d: %w", meta.LedgerSequence(), err)
	}
	for {
		tx, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil {
			err = visit(&tx)
		}
		if err != nil {
			return fmt.Errorf("ledger %d: %w", meta.LedgerSequence(), err)
		}
	}
}

type list[T any] []T

func (l list[T]) Len() int     { return len(l) }
func (l list[T]) At(i int) any { return l[i] }

type fullDecode struct{ decoder }

// Make builds the tree of a ledger; it has no rows.
func (f *fullDecode) Make(ledger []byte) (Rows, error) {
	_, err := f.ledger(ledger)
	return list[struct{}](nil), err
}
