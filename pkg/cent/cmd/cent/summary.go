package main

import (
	"fmt"
	"strconv"
	"time"
)

// summary is the result of a measurement.
type summary struct {
	Channel string `json:"channel"`
	// Clients have subscribed. Disconnected clients have lost their connection.
	Clients      int `json:"clients"`
	Disconnected int `json:"disconnected"`
	Bytes        int `json:"bytes"`
	// Published messages were accepted by Centrifuge. Failed ones were not.
	Published  int `json:"published"`
	Failed     int `json:"failed"`
	Deliveries int `json:"deliveries"`
	Lost       int `json:"lost"`
	Duplicates int `json:"duplicates"`
	// Seconds is the time from the first call to the last receipt.
	Seconds             float64     `json:"seconds"`
	DeliveriesPerSecond float64     `json:"deliveries_per_second"`
	PublishMS           percentiles `json:"publish_ms"`
	ReceiptMS           percentiles `json:"receipt_ms"`
}

// summary returns the result after the measurement has ended.
func (m *measurement) summary() summary {
	sum := summary{
		Channel: m.Channel, Clients: int(m.connected.Load()), Disconnected: m.disconnected, Bytes: m.Size,
		Published: int(m.published.Load()), Failed: int(m.failed.Load()),
		Deliveries: int(m.received.Load()), Duplicates: int(m.duplicates.Load()),
		PublishMS: m.calls.percentiles(), ReceiptMS: m.receipts.percentiles(),
	}
	if sum.Published > 0 {
		sum.Lost = m.missing(false)
	}
	if took := time.Duration(m.last.Load() - m.first.Load()); took > 0 {
		sum.Seconds = took.Round(time.Millisecond).Seconds()
		sum.DeliveriesPerSecond = float64(int(float64(sum.Deliveries)/took.Seconds()*10)) / 10
	}
	return sum
}

// print prints the summary as tables, or as JSON with --json.
func (sum summary) print(s *session) error {
	if s.JSON {
		return s.printJSON(sum)
	}
	row := func(name string, q percentiles) []string {
		cells := []string{name}
		for _, v := range []float64{q.P50, q.P90, q.P99, q.Max} {
			cells = append(cells, fmt.Sprintf("%.1f ms", v))
		}
		return cells
	}
	if err := s.table([][]string{
		{"", "P50", "P90", "P99", "MAX"},
		row("publish call", sum.PublishMS),
		row("publish to receipt", sum.ReceiptMS),
	}); err != nil {
		return err
	}
	fmt.Fprintln(s.stdout)
	return s.table([][]string{
		{"CLIENTS", "MESSAGES", "FAILED", "DELIVERIES", "PER SECOND", "LOST", "DUPLICATES"},
		{
			strconv.Itoa(sum.Clients), strconv.Itoa(sum.Published), strconv.Itoa(sum.Failed), strconv.Itoa(sum.Deliveries),
			fmt.Sprintf("%.0f", sum.DeliveriesPerSecond), strconv.Itoa(sum.Lost), strconv.Itoa(sum.Duplicates),
		},
	})
}
