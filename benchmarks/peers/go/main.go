// Command go-peer measures what the Go SDK of the chain needs to decode ledgers and to make rows of them.
//
// It reads a file of record-marked LedgerCloseMeta (RFC 5531, section 11) into memory, then times decoding alone,
// and prints one JSON object a line: see the README of the benchmarks.
package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"runtime"
	"time"

	"stellarrow/benchmarks/peers/go/rows"
)

type options struct {
	file, mode, passphrase string
	repeat, cores, ledgers int
	minimum                time.Duration
	step, print, unify     bool
}

func parseOptions() options {
	var o options
	flag.StringVar(&o.file, "file", "", "record-marked LedgerCloseMeta, uncompressed")
	flag.StringVar(&o.mode, "mode", "decode", "decode, contract_data, contract_events, three_tables, event_views, token_transfers or unified_transfers")
	flag.StringVar(&o.passphrase, "passphrase", "", "network passphrase")
	flag.IntVar(&o.repeat, "repeat", 5, "repetitions after one that warms up; best and median are printed")
	flag.IntVar(&o.cores, "cores", 1, "GOMAXPROCS; 0 takes every core")
	flag.IntVar(&o.ledgers, "ledgers", 0, "use only the first N ledgers; 0 takes all")
	minimum := flag.Int("minimum-ms", 100, "a repetition passes over the file until this much time has gone")
	flag.BoolVar(&o.step, "step", false, "make one repetition for each line on standard input")
	flag.BoolVar(&o.print, "print", false, "print the rows of one pass as JSON lines and measure nothing")
	flag.BoolVar(&o.unify, "unify", false, "print the ledgers with the fee events of CAP-67 added and measure nothing")
	flag.Parse()
	o.minimum = time.Duration(*minimum) * time.Millisecond
	return o
}

func main() {
	if err := run(parseOptions(), os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "go-peer:", err)
		os.Exit(1)
	}
}

func run(o options, in io.Reader, out io.Writer) error {
	runtime.GOMAXPROCS(o.cores)
	maker, err := rows.NewMaker(o.mode, o.passphrase)
	if err != nil {
		return err
	}
	ledgers, err := readLedgers(o.file, o.ledgers)
	if err != nil {
		return err
	}
	if o.unify {
		return unify(ledgers, o.passphrase, out)
	}
	if o.print {
		return printRows(maker, ledgers, out)
	}
	measure := func() (result, error) { return measureOnce(maker, ledgers, o.minimum) }
	if o.step {
		return stepThrough(measure, in, out)
	}
	return repeatAll(measure, o.repeat, out)
}

func stepThrough(measure func() (result, error), in io.Reader, out io.Writer) error {
	encoder := json.NewEncoder(out)
	for lines := bufio.NewScanner(in); lines.Scan(); {
		r, err := measure()
		if err != nil {
			return err
		}
		if err := encoder.Encode(r); err != nil {
			return err
		}
	}
	return nil
}

func printRows(maker rows.Maker, ledgers [][]byte, out io.Writer) error {
	buffered := bufio.NewWriter(out)
	encoder := json.NewEncoder(buffered)
	for _, ledger := range ledgers {
		made, err := maker.Make(ledger)
		if err != nil {
			return err
		}
		for i := range made.Len() {
			if err := encoder.Encode(made.At(i)); err != nil {
				return err
			}
		}
	}
	return buffered.Flush()
}
