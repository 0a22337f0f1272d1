// A plain UDP relay in Go, for comparison: one goroutine, one socket outside and one inside,
// a table of flows, every known or new client to one backend. It does less than ours: no
// token, no header, no counters, no limits, and nothing comes back.
//
//	relay BACKEND PORT [SHARED]
//
// prints "ready", its own port on the same host, and forwards until killed. With SHARED, several
// processes have the same port; 0 for the first of them, which chooses it.
package main

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"syscall"
)

// Linux; not in the package syscall.
const reusePort = 15

func share(_, _ string, raw syscall.RawConn) error {
	return raw.Control(func(descriptor uintptr) {
		if err := syscall.SetsockoptInt(int(descriptor), syscall.SOL_SOCKET, reusePort, 1); err != nil {
			panic(err)
		}
	})
}

func main() {
	backend := netip.MustParseAddrPort(net.JoinHostPort(os.Args[1], os.Args[2]))
	loopback := net.UDPAddrFromAddrPort(netip.AddrPortFrom(backend.Addr(), 0))
	network := "udp4"
	if backend.Addr().Is6() {
		network = "udp6"
	}
	var listen net.ListenConfig
	public := loopback.String()
	if len(os.Args) > 3 {
		listen.Control = share
		public = net.JoinHostPort(os.Args[1], os.Args[3])
	}
	packets, err := listen.ListenPacket(context.Background(), network, public)
	if err != nil {
		panic(err)
	}
	outside := packets.(*net.UDPConn)
	inside, err := net.ListenUDP(network, loopback)
	if err != nil {
		panic(err)
	}
	_ = outside.SetReadBuffer(4 << 20)
	_ = inside.SetWriteBuffer(4 << 20)
	fmt.Printf("ready %d\n", outside.LocalAddr().(*net.UDPAddr).Port)

	flows := make(map[netip.AddrPort]netip.AddrPort)
	buffer := make([]byte, 2048)
	for {
		size, source, err := outside.ReadFromUDPAddrPort(buffer)
		if err != nil {
			continue
		}
		destination, known := flows[source]
		if !known {
			destination = backend
			flows[source] = destination
		}
		_, _ = inside.WriteToUDPAddrPort(buffer[:size], destination)
	}
}
