package config

import "net"

// ReachableHost returns the host name under which this machine reaches a listener on host: host itself,
// or localhost if host is empty or an unspecified address such as 0.0.0.0.
func ReachableHost(host string) string {
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		return "localhost"
	}
	return host
}
