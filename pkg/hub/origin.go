package hub

import "slices"

// AllowsOrigin reports whether a web page of this origin may connect. A client without
// an origin is no browser and may connect.
func (o ProjectOptions) AllowsOrigin(origin string) bool {
	return origin == "" || len(o.Origins) == 0 || slices.Contains(o.Origins, origin)
}
