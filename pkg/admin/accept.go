package admin

import (
	"net/http"
	"strconv"
	"strings"
)

// qualities are the values of a header such as Accept or Accept-Encoding (RFC 9110, section
// 12.4.2), in lower case and without parameters, with their weights from 0, not acceptable,
// to 1. A value whose weight is malformed is not acceptable. A value that is listed twice
// has its last weight.
func qualities(header []string) map[string]float64 {
	all := make(map[string]float64)
	for element := range strings.SplitSeq(strings.Join(header, ","), ",") {
		value, parameters, _ := strings.Cut(element, ";")
		if value = strings.ToLower(strings.TrimSpace(value)); value == "" {
			continue
		}
		all[value] = 1
		for parameter := range strings.SplitSeq(parameters, ";") {
			if name, weight, ok := strings.Cut(parameter, "="); ok && strings.EqualFold(strings.TrimSpace(name), "q") {
				all[value] = parseWeight(strings.TrimSpace(weight))
			}
		}
	}
	return all
}

// parseWeight returns 0 for what is no weight, a number from 0 to 1.
func parseWeight(s string) float64 {
	q, err := strconv.ParseFloat(s, 64)
	if err != nil || !(q >= 0 && q <= 1) { //nolint:staticcheck // NaN is not in the range
		return 0
	}
	return q
}

// acceptsGzip reports whether a response may have the encoding gzip, and whether the client
// likes it as much as no encoding.
func acceptsGzip(r *http.Request) bool {
	q := qualities(r.Header.Values("Accept-Encoding"))
	weight, listed := q["gzip"]
	if !listed {
		weight = q["*"]
	}
	return weight > 0 && weight >= q["identity"]
}
