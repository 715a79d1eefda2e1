package main

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"strconv"

	"github.com/stellar/go-stellar-sdk/processors/token_transfer"
	"github.com/stellar/go-stellar-sdk/xdr"
)

const lastFragment = 1 << 31 // RFC 5531, section 11

// unify writes the ledgers anew with the fee events of CAP-67, which a core that was not told to emit them left out.
func unify(ledgers [][]byte, passphrase string, out io.Writer) error {
	derive := token_transfer.NewEventsProcessor(passphrase)
	native, err := xdr.MustNewNativeAsset().ContractID(passphrase)
	if err != nil {
		return err
	}
	buffered := bufio.NewWriter(out)
	for _, ledger := range ledgers {
		var meta xdr.LedgerCloseMeta
		if err := meta.UnmarshalBinary(ledger); err != nil {
			return err
		}
		events, err := derive.EventsFromLedger(meta)
		if err != nil {
			return err
		}
		if err := addFees(&meta, events, xdr.ContractId(native)); err != nil {
			return fmt.Errorf("ledger %d: %w", meta.LedgerSequence(), err)
		}
		written, err := meta.MarshalBinary()
		if err != nil {
			return err
		}
		if err := binary.Write(buffered, binary.BigEndian, uint32(len(written))|lastFragment); err != nil {
			return err
		}
		if _, err := buffered.Write(written); err != nil {
			return err
		}
	}
	return buffered.Flush()
}

func addFees(meta *xdr.LedgerCloseMeta, events []*token_transfer.TokenTransferEvent, native xdr.ContractId) error {
	if meta.V2 == nil {
		return fmt.Errorf("LedgerCloseMeta of version %d is older than fee events", meta.V)
	}
	for _, event := range events {
		fee := event.GetFee()
		if fee == nil {
			continue
		}
		applied := meta.V2.TxProcessing[event.Meta.TransactionIndex-1].TxApplyProcessing.V4
		if applied == nil {
			return fmt.Errorf("transaction %d has meta older than fee events", event.Meta.TransactionIndex)
		}
		told, err := feeEvent(fee, native)
		if err != nil {
			return err
		}
		applied.Events = append(applied.Events, told)
	}
	return nil
}

func feeEvent(fee *token_transfer.Fee, native xdr.ContractId) (xdr.TransactionEvent, error) {
	amount, err := strconv.ParseInt(fee.Amount, 10, 64)
	if err != nil {
		return xdr.TransactionEvent{}, err
	}
	stage := xdr.TransactionEventStageTransactionEventStageBeforeAllTxs
	if amount < 0 {
		stage = xdr.TransactionEventStageTransactionEventStageAfterAllTxs
	}
	payer, name := xdr.MustAddress(fee.From), xdr.ScSymbol("fee")
	address := xdr.ScAddress{Type: xdr.ScAddressTypeScAddressTypeAccount, AccountId: &payer}
	data := xdr.Int128Parts{Hi: xdr.Int64(amount >> 63), Lo: xdr.Uint64(amount)}
	return xdr.TransactionEvent{Stage: stage, Event: xdr.ContractEvent{
		ContractId: &native, Type: xdr.ContractEventTypeContract,
		Body: xdr.ContractEventBody{V0: &xdr.ContractEventV0{
			Topics: []xdr.ScVal{
				{Type: xdr.ScValTypeScvSymbol, Sym: &name},
				{Type: xdr.ScValTypeScvAddress, Address: &address},
			},
			Data: xdr.ScVal{Type: xdr.ScValTypeScvI128, I128: &data},
		}},
	}}, nil
}
