// Pion behind the JSON lines of tests/interop/peer.py, on loopback only. It has no codec: its
// source sends numbered payloads that look like 20 ms of Opus and counts those that come back.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"github.com/pion/dtls/v3"
	"github.com/pion/interceptor"
	"github.com/pion/rtcp"
	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4"
)

var profiles = map[string]dtls.SRTPProtectionProfile{
	"AEAD_AES_256_GCM":        dtls.SRTP_AEAD_AES_256_GCM,
	"AEAD_AES_128_GCM":        dtls.SRTP_AEAD_AES_128_GCM,
	"AES_CM_128_HMAC_SHA1_80": dtls.SRTP_AES128_CM_HMAC_SHA1_80,
}

type fields map[string]any

var output sync.Mutex

func tell(call int, event string, more fields) {
	line := fields{"call": call, "event": event}
	for name, value := range more {
		line[name] = value
	}
	text, err := json.Marshal(line)
	if err != nil {
		panic(err)
	}
	output.Lock()
	defer output.Unlock()
	fmt.Println(string(text))
}

type command struct {
	Call     int
	Do       string
	Mode     string
	SDP      string
	Profiles []string
	Pause    []int
	Channels []string
	Label    string
	Size     int
}

type call struct {
	number int
	pc     *webrtc.PeerConnection
	track  *webrtc.TrackLocalStaticRTP
	stop   chan struct{}

	mutex    sync.Mutex
	sent     map[string]bool
	count    int
	received int
	returned int
	rtt      *float64
	jumps    []int64
	last     *uint32
	channels map[string]*webrtc.DataChannel
}

func open(c command) (*call, error) {
	settings := webrtc.SettingEngine{}
	settings.SetIncludeLoopbackCandidate(true)
	settings.SetIPFilter(func(ip net.IP) bool { return ip.IsLoopback() && ip.To4() != nil })
	settings.SetNetworkTypes([]webrtc.NetworkType{webrtc.NetworkTypeUDP4})
	if len(c.Profiles) > 0 {
		var wanted []dtls.SRTPProtectionProfile
		for _, name := range c.Profiles {
			wanted = append(wanted, profiles[name])
		}
		settings.SetSRTPProtectionProfiles(wanted...)
	}
	media := &webrtc.MediaEngine{}
	if err := media.RegisterDefaultCodecs(); err != nil {
		return nil, err
	}
	// Reports every second, like their own examples.
	registry := &interceptor.Registry{}
	if err := webrtc.RegisterDefaultInterceptors(media, registry); err != nil {
		return nil, err
	}
	api := webrtc.NewAPI(webrtc.WithSettingEngine(settings), webrtc.WithMediaEngine(media),
		webrtc.WithInterceptorRegistry(registry))
	pc, err := api.NewPeerConnection(webrtc.Configuration{})
	if err != nil {
		return nil, err
	}
	opus := webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeOpus, ClockRate: 48000, Channels: 2}
	track, err := webrtc.NewTrackLocalStaticRTP(opus, "audio", "peer")
	if err != nil {
		return nil, err
	}
	sender, err := pc.AddTrack(track)
	if err != nil {
		return nil, err
	}
	result := &call{number: c.Call, pc: pc, track: track, stop: make(chan struct{}), sent: map[string]bool{},
		channels: map[string]*webrtc.DataChannel{}}
	pc.OnDataChannel(func(channel *webrtc.DataChannel) { result.serve(channel, false) })
	go result.reports(sender)
	pc.OnTrack(func(remote *webrtc.TrackRemote, receiver *webrtc.RTPReceiver) {
		go drain(receiver)
		go result.listen(remote, c.Mode == "echo")
	})
	pc.OnConnectionStateChange(func(state webrtc.PeerConnectionState) {
		if state == webrtc.PeerConnectionStateConnected && c.Mode == "source" {
			go result.talk(c.Pause)
		}
		tell(c.Call, "state", fields{"state": state.String()})
	})
	return result, nil
}

func (c *call) openChannel(label string) error {
	channel, err := c.pc.CreateDataChannel(label, nil)
	if err != nil {
		return err
	}
	c.serve(channel, true)
	return nil
}

// serve echoes what comes on a channel; on its own it says something first.
func (c *call) serve(channel *webrtc.DataChannel, own bool) {
	c.mutex.Lock()
	c.channels[channel.Label()] = channel
	c.mutex.Unlock()
	channel.OnOpen(func() {
		tell(c.number, "channel", fields{"label": channel.Label(), "state": "open"})
		if own {
			_ = channel.SendText("hello")
		}
	})
	channel.OnClose(func() {
		tell(c.number, "channel", fields{"label": channel.Label(), "state": "close"})
	})
	channel.OnMessage(func(message webrtc.DataChannelMessage) {
		if message.IsString {
			_ = channel.SendText(string(message.Data))
		} else {
			_ = channel.Send(message.Data)
		}
	})
}

func (c *call) channel(label string) *webrtc.DataChannel {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	return c.channels[label]
}

func (c *call) describe(kind string, remote string, channels []string) error {
	var local webrtc.SessionDescription
	var err error
	for _, label := range channels {
		if err = c.openChannel(label); err != nil {
			return err
		}
	}
	if kind == "offer" {
		local, err = c.pc.CreateOffer(nil)
	} else {
		err = c.pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeOffer, SDP: remote})
		if err != nil {
			return err
		}
		local, err = c.pc.CreateAnswer(nil)
	}
	if err != nil {
		return err
	}
	gathered := webrtc.GatheringCompletePromise(c.pc)
	if err = c.pc.SetLocalDescription(local); err != nil {
		return err
	}
	<-gathered
	tell(c.number, "description", fields{"sdp": c.pc.LocalDescription().SDP})
	return nil
}

// talk sends 20 ms payloads, with a hole of pause = [first frame, frames].
func (c *call) talk(pause []int) {
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	var sequence uint16
	for index := 0; ; index++ {
		select {
		case <-ticker.C:
		case <-c.stop:
			return
		}
		if len(pause) == 2 && index >= pause[0] && index < pause[0]+pause[1] {
			continue
		}
		// 0xF8: one frame of 20 ms, CELT, fullband, mono.
		payload := append([]byte{0xF8}, []byte(fmt.Sprintf("frame %d", index))...)
		marker := index == 0 || (len(pause) == 2 && index == pause[0]+pause[1])
		c.mutex.Lock()
		c.sent[string(payload)] = true
		c.count++
		c.mutex.Unlock()
		_ = c.track.WriteRTP(&rtp.Packet{
			Header: rtp.Header{Version: 2, Marker: marker, SequenceNumber: sequence,
				Timestamp: uint32(index) * 960},
			Payload: payload,
		})
		sequence++
	}
}

func (c *call) listen(track *webrtc.TrackRemote, echo bool) {
	for {
		packet, _, err := track.ReadRTP()
		if err != nil {
			return
		}
		c.mutex.Lock()
		c.received++
		if c.sent[string(packet.Payload)] {
			c.returned++
		}
		if c.last != nil {
			if step := int64(int32(packet.Timestamp - *c.last)); step != 960 {
				c.jumps = append(c.jumps, step)
			}
		}
		timestamp := packet.Timestamp
		c.last = &timestamp
		c.mutex.Unlock()
		if echo {
			packet.Extension, packet.Extensions = false, nil
			_ = c.track.WriteRTP(packet)
		}
	}
}

// reports computes the round trip as RFC 3550 section 6.4.1 tells.
func (c *call) reports(sender *webrtc.RTPSender) {
	for {
		packets, _, err := sender.ReadRTCP()
		if err != nil {
			return
		}
		for _, packet := range packets {
			var blocks []rtcp.ReceptionReport
			switch report := packet.(type) {
			case *rtcp.SenderReport:
				blocks = report.Reports
			case *rtcp.ReceiverReport:
				blocks = report.Reports
			}
			for _, block := range blocks {
				if block.LastSenderReport != 0 {
					units := compactNTP(time.Now()) - block.LastSenderReport - block.Delay
					seconds := float64(int32(units)) / 65536
					if seconds < 0 { // the two clocks' granularity
						seconds = 0
					}
					c.mutex.Lock()
					c.rtt = &seconds
					c.mutex.Unlock()
				}
			}
		}
	}
}

func drain(receiver *webrtc.RTPReceiver) {
	for {
		if _, _, err := receiver.ReadRTCP(); err != nil {
			return
		}
	}
}

func compactNTP(now time.Time) uint32 {
	seconds := uint64(now.Unix()) + 2208988800
	fraction := uint64(now.Nanosecond()) << 32 / 1e9
	return uint32(seconds<<16) | uint32(fraction>>16)
}

func (c *call) stats() {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	answer := fields{"sent": c.count, "received": c.received, "returned": c.returned,
		"round_trip_time": c.rtt, "jumps": c.jumps}
	if c.jumps == nil {
		answer["jumps"] = []int64{}
	}
	for _, entry := range c.pc.GetStats() {
		if transport, ok := entry.(webrtc.TransportStats); ok {
			answer["srtp"], answer["cipher"] = transport.SRTPCipher, transport.DTLSCipher
		}
	}
	tell(c.number, "stats", answer)
}

func main() {
	name := "Pion"
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, module := range info.Deps {
			if strings.HasPrefix(module.Path, "github.com/pion/webrtc/") ||
				strings.HasPrefix(module.Path, "github.com/pion/dtls/") {
				name += " " + strings.Split(module.Path, "/")[2] + " " + module.Version
			}
		}
	}
	tell(0, "ready", fields{"name": name})
	calls := map[int]*call{}
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var c command
		err := json.Unmarshal(lines.Bytes(), &c)
		current := calls[c.Call]
		if err == nil && current == nil {
			current, err = open(c)
			calls[c.Call] = current
		}
		if err == nil {
			switch c.Do {
			case "offer", "answer":
				err = current.describe(c.Do, c.SDP, c.Channels)
			case "remote":
				err = current.pc.SetRemoteDescription(
					webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: c.SDP})
			case "stats":
				current.stats()
			case "open":
				err = current.openChannel(c.Label)
			case "say":
				data := make([]byte, c.Size)
				for n := range data {
					data[n] = byte(n % 251)
				}
				err = current.channel(c.Label).Send(data)
			case "shut":
				err = current.channel(c.Label).Close()
			case "close":
				close(current.stop)
				err = current.pc.Close()
			}
		}
		if err != nil {
			tell(c.Call, "error", fields{"detail": err.Error()})
		}
	}
}
