package main

import (
	"encoding/binary"
	"fmt"
	"os"
)

// readLedgers loads the whole file and cuts it at its record marks: the high bit of each 4-byte mark says that the
// fragment is the record's last, which stellar-core always sets; the rest is the length.
func readLedgers(path string, limit int) ([][]byte, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var ledgers [][]byte
	for rest := data; len(rest) > 0 && (limit == 0 || len(ledgers) < limit); {
		if len(rest) < 4 {
			return nil, fmt.Errorf("%s: a record mark is cut off after ledger %d", path, len(ledgers))
		}
		size := int(binary.BigEndian.Uint32(rest) &^ (1 << 31))
		if len(rest)-4 < size {
			return nil, fmt.Errorf("%s: ledger %d is cut off", path, len(ledgers))
		}
		ledgers = append(ledgers, rest[4:4+size])
		rest = rest[4+size:]
	}
	return ledgers, nil
}
