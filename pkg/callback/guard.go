package callback

import (
	"errors"
	"net/netip"
	"syscall"
)

var errNotPublic = errors.New("the address is not public")

// guard is the Control function of a net.Dialer that connects to public addresses only.
// It checks the resolved address of each dial, which defeats DNS rebinding.
func guard(_, address string, _ syscall.RawConn) error {
	a, err := netip.ParseAddrPort(address)
	if err != nil || !isPublic(a.Addr()) {
		return errNotPublic
	}
	return nil
}

// isPublic reports whether a is a unicast address of the public Internet. An IPv4-mapped
// IPv6 address counts as the IPv4 address.
func isPublic(a netip.Addr) bool {
	a = a.WithZone("").Unmap()
	if a.Is6() && !globalUnicast.Contains(a) {
		return false // among others ::, ::1, fc00::/7, fe80::/10, ff00::/8, 64:ff9b::/96
	}
	for _, prefix := range specialPurpose {
		if prefix.Contains(a) {
			return false
		}
	}
	return a.IsValid()
}

// globalUnicast contains all IPv6 addresses that are allocated for the public Internet.
var globalUnicast = netip.MustParsePrefix("2000::/3")

// specialPurpose lists the blocks of IPv4 and of globalUnicast that IANA's registries
// of special-purpose addresses reserve, or that embed other addresses.
var specialPurpose = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"),       // this network
	netip.MustParsePrefix("10.0.0.0/8"),      // private
	netip.MustParsePrefix("100.64.0.0/10"),   // carrier-grade NAT
	netip.MustParsePrefix("127.0.0.0/8"),     // loopback
	netip.MustParsePrefix("169.254.0.0/16"),  // link-local, with the metadata service
	netip.MustParsePrefix("172.16.0.0/12"),   // private
	netip.MustParsePrefix("192.0.0.0/24"),    // protocol assignments
	netip.MustParsePrefix("192.0.2.0/24"),    // documentation
	netip.MustParsePrefix("192.88.99.0/24"),  // 6to4 relays
	netip.MustParsePrefix("192.168.0.0/16"),  // private
	netip.MustParsePrefix("198.18.0.0/15"),   // benchmarks
	netip.MustParsePrefix("198.51.100.0/24"), // documentation
	netip.MustParsePrefix("203.0.113.0/24"),  // documentation
	netip.MustParsePrefix("224.0.0.0/4"),     // multicast
	netip.MustParsePrefix("240.0.0.0/4"),     // reserved, broadcast
	netip.MustParsePrefix("2001::/23"),       // protocol assignments, with Teredo
	netip.MustParsePrefix("2001:db8::/32"),   // documentation
	netip.MustParsePrefix("2002::/16"),       // 6to4
	netip.MustParsePrefix("3fff::/20"),       // documentation
}
