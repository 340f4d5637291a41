package main

import "strings"

// refused is an error that lists what Centrifuge refused, each with its reason.
type refused []string

// Error implements error.
func (r refused) Error() string { return "refused: " + strings.Join(r, "; ") }
