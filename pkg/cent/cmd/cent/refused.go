package main

import "strings"

// refused are the things that Centrifuge said no to, each with why.
type refused []string

// Error implements error.
func (r refused) Error() string { return "refused: " + strings.Join(r, ", ") }
