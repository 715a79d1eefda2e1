package rows

import "github.com/stellar/go-stellar-sdk/processors/token_transfer"

type tokenTransfers struct {
	decoder
	processor *token_transfer.EventsProcessor
}

func newTokenTransfers(d decoder, passphrase string, options ...token_transfer.EventsProcessorOption) Maker {
	return &tokenTransfers{decoder: d, processor: token_transfer.NewEventsProcessor(passphrase, options...)}
}

// Make derives the token transfers of a ledger from operations, results and contract events, or reads the unified events.
func (t *tokenTransfers) Make(ledger []byte) (Rows, error) {
	meta, err := t.ledger(ledger)
	if err != nil {
		return nil, err
	}
	events, err := t.processor.EventsFromLedger(meta)
	return list[*token_transfer.TokenTransferEvent](events), err
}
