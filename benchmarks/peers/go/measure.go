package main

import (
	"encoding/json"
	"io"
	"slices"
	"time"

	"stellarrow/benchmarks/peers/go/rows"
)

// result counts everything decoded in one repetition, which may be several passes over the file.
type result struct {
	Ledgers       int     `json:"ledgers"`
	Bytes         int     `json:"bytes"`
	Rows          int     `json:"rows"`
	Passes        int     `json:"passes"`
	Seconds       float64 `json:"seconds"`
	MedianSeconds float64 `json:"median_seconds,omitempty"`
}

func measureOnce(maker rows.Maker, ledgers [][]byte, minimum time.Duration) (result, error) {
	var r result
	start := time.Now()
	for r.Passes == 0 || time.Since(start) < minimum {
		for _, ledger := range ledgers {
			made, err := maker.Make(ledger)
			if err != nil {
				return r, err
			}
			r.Rows += made.Len()
			r.Bytes += len(ledger)
		}
		r.Ledgers += len(ledgers)
		r.Passes++
	}
	r.Seconds = time.Since(start).Seconds()
	return r, nil
}

// repeatAll prints the best repetition, per pass, with the median beside it.
func repeatAll(measure func() (result, error), repeat int, out io.Writer) error {
	results := make([]result, 0, repeat)
	for i := range repeat + 1 {
		r, err := measure()
		if err != nil {
			return err
		}
		if i > 0 { // the first one warms up
			results = append(results, r.perPass())
		}
	}
	slices.SortFunc(results, func(a, b result) int { return int((a.Seconds - b.Seconds) * 1e9) })
	best := results[0]
	best.MedianSeconds = results[len(results)/2].Seconds
	return json.NewEncoder(out).Encode(best)
}

func (r result) perPass() result {
	n := r.Passes
	return result{Ledgers: r.Ledgers / n, Bytes: r.Bytes / n, Rows: r.Rows / n, Passes: 1, Seconds: r.Seconds / float64(n)}
}
