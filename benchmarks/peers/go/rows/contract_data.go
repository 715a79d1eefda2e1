package rows

import (
	"crypto/sha256"
	"encoding/hex"

	"github.com/stellar/go-stellar-sdk/ingest"
	"github.com/stellar/go-stellar-sdk/ingest/sac"
	"github.com/stellar/go-stellar-sdk/strkey"
	"github.com/stellar/go-stellar-sdk/xdr"
)

// ContractData has the columns of the table contract_data, version 2.0.
type ContractData struct {
	LedgerSequence      uint32  `json:"ledger_sequence"`
	ClosedAt            int64   `json:"closed_at"`
	TransactionIndex    uint32  `json:"transaction_index"`
	TransactionHash     string  `json:"transaction_hash"`
	OperationIndex      *uint32 `json:"operation_index"`
	ChangeIndex         uint32  `json:"change_index"`
	ChangeType          string  `json:"change_type"`
	ContractID          string  `json:"contract_id"`
	KeyType             string  `json:"contract_key_type"`
	Durability          string  `json:"contract_durability"`
	AssetCode           *string `json:"asset_code"`
	AssetIssuer         *string `json:"asset_issuer"`
	AssetType           *string `json:"asset_type"`
	BalanceHolder       *string `json:"balance_holder"`
	Balance             *string `json:"balance"`
	LastModifiedLedger  uint32  `json:"last_modified_ledger"`
	Deleted             bool    `json:"deleted"`
	LedgerKeyHash       string  `json:"ledger_key_hash"`
	KeyXDR              string  `json:"key_xdr"`
	ValXDR              string  `json:"val_xdr"`
	InstanceType        *string `json:"contract_instance_type"`
	InstanceWasmHash    *string `json:"contract_instance_wasm_hash"`
	ExpirationLedgerSeq *uint32 `json:"expiration_ledger_seq"`
}

type contractData struct {
	decoder
	encoder    *xdr.EncodingBuffer
	passphrase string
	native     xdr.ContractId
	rows       list[ContractData]
}

func newContractData(d decoder, passphrase string) (*contractData, error) {
	native, err := xdr.MustNewNativeAsset().ContractID(passphrase)
	return &contractData{decoder: d, encoder: xdr.NewEncodingBuffer(), passphrase: passphrase, native: native}, err
}

func (c *contractData) Make(ledger []byte) (Rows, error) {
	c.rows = c.rows[:0]
	err := c.transactions(ledger, c.passphrase, c.transaction)
	return c.rows, err
}

func (c *contractData) transaction(tx *ingest.LedgerTransaction) error {
	if tx.UnsafeMeta.V == 0 { // older than contracts; the SDK refuses it
		return nil
	}
	changes, err := tx.GetChanges()
	if err != nil {
		return err
	}
	hash := hex.EncodeToString(tx.Hash[:])
	first := len(c.rows)
	for i := range changes {
		change := &changes[i]
		entry := stateOf(change)
		if change.Type != xdr.LedgerEntryTypeContractData ||
			entry.Data.ContractData.Key.Type == xdr.ScValTypeScvLedgerKeyNonce {
			continue
		}
		row := ContractData{
			LedgerSequence: tx.Ledger.LedgerSequence(), ClosedAt: tx.Ledger.LedgerCloseTime(),
			TransactionIndex: tx.Index, TransactionHash: hash, ChangeIndex: uint32(len(c.rows) - first),
			ChangeType: change.ChangeType.String(), Deleted: change.Post == nil,
		}
		if change.Reason == ingest.LedgerEntryChangeReasonOperation {
			row.OperationIndex = &change.OperationIndex
		}
		if err := c.fill(&row, entry); err != nil {
			return err
		}
		c.rows = append(c.rows, row)
	}
	setExpirations(c.rows[first:], changes)
	return nil
}

// stateOf returns the entry a row shows: the new state, or the last one of a removed entry.
func stateOf(change *ingest.Change) *xdr.LedgerEntry {
	if change.Post != nil {
		return change.Post
	}
	return change.Pre
}

func (c *contractData) fill(row *ContractData, entry *xdr.LedgerEntry) (err error) {
	data := entry.Data.ContractData
	row.KeyType, row.Durability = data.Key.Type.String(), data.Durability.String()
	row.LastModifiedLedger = uint32(entry.LastModifiedLedgerSeq)
	if row.ContractID, err = data.Contract.String(); err != nil {
		return err
	}
	if row.KeyXDR, err = c.encoder.MarshalBase64(&data.Key); err != nil {
		return err
	}
	if row.ValXDR, err = c.encoder.MarshalBase64(&data.Val); err != nil {
		return err
	}
	key, err := entry.LedgerKey()
	if err != nil {
		return err
	}
	wire, err := c.encoder.UnsafeMarshalBinary(&key)
	if err != nil {
		return err
	}
	sum := sha256.Sum256(wire)
	row.LedgerKeyHash = hex.EncodeToString(sum[:])
	switch data.Key.Type {
	case xdr.ScValTypeScvLedgerKeyContractInstance:
		c.fillInstance(row, entry)
	case xdr.ScValTypeScvVec:
		fillBalance(row, entry)
	}
	return nil
}

func (c *contractData) fillInstance(row *ContractData, entry *xdr.LedgerEntry) {
	data := entry.Data.ContractData
	if instance, ok := data.Val.GetInstance(); ok {
		kind := "stellar_asset"
		if wasm, ok := instance.Executable.GetWasmHash(); ok {
			kind = "wasm"
			text := hex.EncodeToString(wasm[:])
			row.InstanceWasmHash = &text
		}
		row.InstanceType = &kind
	}
	if id := data.Contract.ContractId; id != nil && *id == c.native { // the SDK leaves lumens out
		kind := "AssetTypeAssetTypeNative"
		row.AssetType = &kind
		return
	}
	if asset, ok := sac.AssetFromContractData(*entry, c.passphrase); ok {
		kind, code, issuer := asset.Type.String(), asset.GetCode(), asset.GetIssuer()
		row.AssetType, row.AssetCode, row.AssetIssuer = &kind, &code, &issuer
	}
}

// fillBalance passes no passphrase: the SDK uses it only to leave lumens out, which our table has.
func fillBalance(row *ContractData, entry *xdr.LedgerEntry) {
	holder, amount, ok := sac.ContractBalanceFromContractData(*entry, "")
	if !ok {
		return
	}
	address, text := strkey.MustEncode(strkey.VersionByteContract, holder[:]), amount.String()
	row.BalanceHolder, row.Balance = &address, &text
}

// setExpirations gives each row the last live-until its key's TTL entry got in the same transaction.
func setExpirations(rows []ContractData, changes []ingest.Change) {
	if len(rows) == 0 {
		return
	}
	expirations := make(map[string]uint32)
	for i := range changes {
		if post := changes[i].Post; post != nil && changes[i].Type == xdr.LedgerEntryTypeTtl {
			ttl := post.Data.Ttl
			expirations[hex.EncodeToString(ttl.KeyHash[:])] = uint32(ttl.LiveUntilLedgerSeq)
		}
	}
	for i := range rows {
		if until, ok := expirations[rows[i].LedgerKeyHash]; ok {
			rows[i].ExpirationLedgerSeq = &until
		}
	}
}
