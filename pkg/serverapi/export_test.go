package serverapi

import (
	"maps"
	"slices"
)

// Methods are the methods of /api.
var Methods = slices.Sorted(maps.Keys(methods))
