#!/usr/bin/env python3
"""Records what BIRD and GoBGP send to a peer, one file per session: the raw bytes of the TCP stream.

    sudo ./capture.py [SCENARIO...]

Needs root, iproute2, bird 2 and gobgpd/gobgp. Everything runs in network namespaces that the script makes
and removes. The peer is the `Listener` below: it answers with an OPEN that offers what the scenario says,
sends KEEPALIVE, and does what the scenario's script says once the table has arrived. The tests in
`wire_golden.rs` decode the files; they never run this.
"""

import os
import socket
import struct
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
MARKER = b"\xff" * 16
FAMILY = {"v4": (1, 1), "v6": (2, 1)}


def capability(code, value=b""):
    return struct.pack("!BB", code, len(value)) + value


def multiprotocol(name):
    return capability(1, struct.pack("!HBB", FAMILY[name][0], 0, FAMILY[name][1]))


def add_path(mode=3):
    return capability(69, b"".join(struct.pack("!HBB", a, s, mode) for a, s in FAMILY.values()))


def four_octet(asn):
    return capability(65, struct.pack("!I", asn))


def graceful_restart():
    return capability(64, struct.pack("!H", 120) + b"".join(struct.pack("!HBB", a, s, 0) for a, s in FAMILY.values()))


ROUTE_REFRESH, EXTENDED_MESSAGE, ENHANCED_REFRESH = capability(2), capability(6), capability(70)
EXTENDED_NEXT_HOP = capability(5, struct.pack("!HHH", 1, 1, 2))


class Listener:
    def __init__(self, address, port, asn, capabilities):
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self.server = socket.socket(family, socket.SOCK_STREAM)
        self.server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.server.bind(socket.getaddrinfo(address, port, family)[0][4])
        self.server.listen()
        self.asn, self.capabilities = asn, capabilities
        self.stream, self.messages = b"", []

    def send(self, kind, body=b""):
        self.conn.sendall(MARKER + struct.pack("!HB", 19 + len(body), kind) + body)

    def establish(self):
        self.server.settimeout(30)
        self.conn, _ = self.server.accept()
        caps = b"".join(self.capabilities)
        params = struct.pack("!BB", 2, len(caps)) + caps if caps else b""
        my_as = self.asn if self.asn < 65536 else 23456
        self.send(1, struct.pack("!BHH", 4, my_as, 90) + bytes([192, 0, 2, 2]) + bytes([len(params)]) + params)
        self.send(4)
        self.wait(lambda: any(kind == 4 for kind, _ in self.messages))

    def wait(self, done, seconds=20):
        """Reads until `done()`; at the deadline or the end of the stream it goes on with what is there."""
        deadline = time.monotonic() + seconds
        while not done() and time.monotonic() < deadline:
            self.conn.settimeout(max(0.01, deadline - time.monotonic()))
            try:
                data = self.conn.recv(65536)
            except TimeoutError:
                return
            if not data:
                return
            self.stream += data
            self.parse()

    def parse(self):
        at = sum(19 + len(body) for _, body in self.messages)
        while len(self.stream) - at >= 19:
            length, kind = struct.unpack("!HB", self.stream[at + 16:at + 19])
            if len(self.stream) - at < length:
                return
            self.messages.append((kind, self.stream[at + 19:at + length]))
            at += length

    def count(self, kind):
        return sum(1 for k, _ in self.messages if k == kind)

    def updates(self):
        return self.count(2)


BIRD_COMMON = """
log stderr all;
router id 192.0.2.1;
protocol device {}
"""

BIRD_ROUTES = """
protocol static static4 {
  ipv4;
  route 0.0.0.0/0 blackhole;
  route 10.0.0.0/8 blackhole;
  route 10.65.0.0/26 blackhole { bgp_community.add((65001, 100)); bgp_community.add((65535, 65281)); bgp_med = 7; };
  route 10.65.0.64/26 blackhole { bgp_large_community.add((4200000001, 1, 2)); bgp_ext_community.add((rt, 65001, 100)); bgp_ext_community.add((ro, 4200000001, 7)); };
  route 10.65.1.0/26 blackhole { bgp_path.prepend(64512); bgp_path.prepend(4200000002); };
  route 10.65.1.1/32 blackhole { bgp_path.prepend(64512); bgp_path.prepend(4200000002); };
}
protocol static static6 {
  ipv6;
  route ::/0 blackhole;
  route 2001:db8:65::/48 blackhole { bgp_community.add((65001, 100)); };
  route 2001:db8:65:1::/122 blackhole;
  route 2001:db8:65:2::1/128 blackhole;
}
"""


def bird_peer(local, neighbor, asn, peer_as, channels, extra="multihop;"):
    return f"""
protocol bgp peer {{
  local {local} port 1790 as {asn};
  neighbor {neighbor} port 1791 as {peer_as};
  connect delay time 1;
  {extra}
  {channels}
}}
"""


V4 = "ipv4 { import all; export all; next hop self; add paths on; };"
V6 = "ipv6 { import all; export all; next hop self; add paths on; };"
PLAIN4 = "ipv4 { import all; export all; next hop self; };"
PLAIN6 = "ipv6 { import all; export all; next hop self; };"
ALL_OPTIONS = "multihop; enable extended messages on; graceful restart on; enable route refresh on;"


class Bird:
    def __init__(self, config):
        self.dir = tempfile.mkdtemp()
        path = f"{self.dir}/bird.conf"
        open(path, "w").write(config)
        self.log = open(f"{self.dir}/log", "w")
        RUNNING.append(self)
        self.process = subprocess.Popen(["bird", "-f", "-c", path, "-s", f"{self.dir}/ctl"], stderr=self.log)

    def control(self, *words):
        subprocess.run(["birdc", "-s", f"{self.dir}/ctl", *words], check=True, stdout=subprocess.DEVNULL)

    def stop(self):
        self.process.terminate()
        self.process.wait()


class Gobgp:
    def __init__(self, config):
        self.dir = tempfile.mkdtemp()
        path = f"{self.dir}/gobgpd.toml"
        open(path, "w").write(config)
        self.log = open(f"{self.dir}/log", "w")
        RUNNING.append(self)
        self.process = subprocess.Popen(["gobgpd", "-f", path, "--api-hosts", "127.0.0.1:50051"],
                                        stdout=self.log, stderr=self.log)
        deadline = time.monotonic() + 20
        while subprocess.run(["gobgp", "global"], capture_output=True).returncode != 0:
            assert time.monotonic() < deadline, "gobgpd does not answer"
            time.sleep(0.1)

    def control(self, *words):
        result = subprocess.run(["gobgp", *words], capture_output=True, text=True)
        if result.returncode != 0 or result.stderr:
            print("gobgp", *words, ":", result.stdout, result.stderr)

    def stop(self):
        self.process.terminate()
        self.process.wait()


GOBGP_CONFIG = """
[global.config]
  as = 65001
  router-id = "192.0.2.1"
  port = 1790
  local-address-list = ["192.0.2.1"]
[[neighbors]]
  [neighbors.config]
    neighbor-address = "192.0.2.2"
    peer-as = {peer_as}
  [neighbors.transport.config]
    remote-port = 1791
    local-address = "192.0.2.1"
  [neighbors.timers.config]
    connect-retry = 1
  [neighbors.graceful-restart.config]
    enabled = true
    restart-time = 120
  {ebgp}
  [[neighbors.afi-safis]]
    [neighbors.afi-safis.config]
      afi-safi-name = "ipv4-unicast"
    [neighbors.afi-safis.mp-graceful-restart.config]
      enabled = true
    {add_path}
  [[neighbors.afi-safis]]
    [neighbors.afi-safis.config]
      afi-safi-name = "ipv6-unicast"
    {add_path}
"""
GOBGP_ADD_PATH = "[neighbors.afi-safis.add-paths.config]\n      receive = true\n      send-max = 8"
GOBGP_MULTIHOP = "[neighbors.ebgp-multihop.config]\n    enabled = true\n    multihop-ttl = 4"


def gobgp_routes(gobgp):
    v4 = ["global", "rib", "-a", "ipv4", "add"]
    v6 = ["global", "rib", "-a", "ipv6", "add"]
    gobgp.control(*v4, "10.0.0.0/8", "nexthop", "192.0.2.1", "origin", "egp")
    gobgp.control(*v4, "10.65.0.0/26", "nexthop", "192.0.2.1", "community", "65001:100,no-export", "med", "7")
    gobgp.control(*v4, "10.65.0.64/26", "nexthop", "192.0.2.1", "large-community", "4200000001:1:2", "rt", "65001:100")
    gobgp.control(*v4, "10.65.1.0/26", "nexthop", "192.0.2.1", "aspath", "4200000002 64512 {64513 64514}",
                  "aggregator", "4200000003:192.0.2.9")
    gobgp.control(*v4, "10.65.1.1/32", "nexthop", "192.0.2.1", "local-pref", "250")
    gobgp.control(*v6, "2001:db8:65::/48", "nexthop", "2001:db8::1", "community", "65001:100")
    gobgp.control(*v6, "2001:db8:65:1::/122", "nexthop", "2001:db8::1")


RUNNING = []  # daemons, to be stopped whatever happens


def bird_all(peer_as=65002):
    """eBGP with every option; ends with a refresh we ask for, a withdrawal and a shutdown with a text."""
    listener = Listener("192.0.2.2", 1791, peer_as, [
        multiprotocol("v4"), multiprotocol("v6"), ROUTE_REFRESH, ENHANCED_REFRESH, EXTENDED_MESSAGE,
        four_octet(peer_as), add_path(), graceful_restart()])
    bird = Bird(BIRD_COMMON + BIRD_ROUTES + bird_peer("192.0.2.1", "192.0.2.2", 65001, peer_as, V4 + V6, ALL_OPTIONS))
    listener.establish()
    listener.wait(lambda: False, 3)
    listener.send(5, struct.pack("!HBB", 1, 0, 1))
    listener.wait(lambda: listener.count(5) >= 2, 5)
    bird.control("reload", "in", "peer")
    listener.wait(lambda: listener.count(5) >= 4, 5)
    bird.control("disable", "static4")
    bird.control("disable", "static6")
    listener.wait(lambda: False, 2)
    bird.control("disable", "peer", '"fibre works at 10:00, ask Zoë"')
    listener.wait(lambda: listener.count(3) > 0, 5)
    return listener, bird


def bird_two_octet():
    """iBGP to a speaker of two-octet AS numbers, with nothing else offered."""
    listener = Listener("192.0.2.2", 1791, 65001, [])
    bird = Bird(BIRD_COMMON + BIRD_ROUTES + bird_peer("192.0.2.1", "192.0.2.2", 65001, 65001, PLAIN4))
    listener.establish()
    listener.wait(lambda: listener.updates() >= 5)
    return listener, bird


def bird_extended_next_hop():
    """RFC 8950 over a session between link-local addresses."""
    listener = Listener("fe80::2%lan1", 1791, 65002, [
        multiprotocol("v4"), multiprotocol("v6"), four_octet(65002), EXTENDED_NEXT_HOP])
    channels = PLAIN4.replace("import all", "import all; extended next hop on") + PLAIN6
    bird = Bird(BIRD_COMMON + BIRD_ROUTES
                + bird_peer("fe80::1", "fe80::2%lan0", 65001, 65002, channels, "direct;"))
    listener.establish()
    listener.wait(lambda: False, 3)
    return listener, bird


def bird_full_messages():
    """Two thousand prefixes of one path, packed by BIRD."""
    routes = "".join(f"  route 10.{i // 256}.{i % 256}.0/24 blackhole;\n" for i in range(2000))
    listener = Listener("192.0.2.2", 1791, 65002, [multiprotocol("v4"), four_octet(65002)])
    bird = Bird(BIRD_COMMON + "protocol static { ipv4;\n" + routes + "}\n"
                + bird_peer("192.0.2.1", "192.0.2.2", 65001, 65002, PLAIN4))
    listener.establish()
    listener.wait(lambda: False, 4)
    return listener, bird


def gobgp_all():
    """eBGP with add-path, a withdrawal and a shutdown with a text."""
    listener = Listener("192.0.2.2", 1791, 65002, [
        multiprotocol("v4"), multiprotocol("v6"), ROUTE_REFRESH, four_octet(65002), add_path(), graceful_restart()])
    gobgp = Gobgp(GOBGP_CONFIG.format(peer_as=65002, add_path=GOBGP_ADD_PATH, ebgp=GOBGP_MULTIHOP))
    gobgp_routes(gobgp)
    listener.establish()
    listener.wait(lambda: False, 3)
    gobgp.control("global", "rib", "-a", "ipv4", "del", "10.0.0.0/8")
    gobgp.control("global", "rib", "-a", "ipv6", "del", "2001:db8:65:1::/122")
    listener.wait(lambda: False, 2)
    gobgp.control("neighbor", "192.0.2.2", "shutdown", "--reason", "fibre works")
    listener.wait(lambda: listener.count(3) > 0, 5)
    return listener, gobgp


def gobgp_two_octet():
    """iBGP to a speaker of two-octet AS numbers: AS4_PATH and AS4_AGGREGATOR."""
    listener = Listener("192.0.2.2", 1791, 65001, [multiprotocol("v4")])
    gobgp = Gobgp(GOBGP_CONFIG.format(peer_as=65001, add_path="", ebgp=""))
    gobgp_routes(gobgp)
    listener.establish()
    listener.wait(lambda: False, 3)
    return listener, gobgp


SCENARIOS = [bird_all, bird_two_octet, bird_extended_next_hop, bird_full_messages, gobgp_all, gobgp_two_octet]


def run(scenario):
    """Inside the namespace."""
    try:
        listener, daemon = scenario()
    finally:
        for daemon in RUNNING:
            daemon.stop()
    end = sum(19 + len(body) for _, body in listener.messages)
    with open(f"{HERE}/{scenario.__name__}.bin", "wb") as out:
        out.write(listener.stream[:end])
    kinds = [kind for kind, _ in listener.messages]
    print(f"{scenario.__name__}: {end} octets, message types {kinds}, log {daemon.dir}/log")


def main():
    names = sys.argv[1:]
    if names[:1] == ["--inside"]:
        return run(next(scenario for scenario in SCENARIOS if scenario.__name__ == names[1]))
    for scenario in SCENARIOS:
        if names and scenario.__name__ not in names:
            continue
        namespace = f"manx-golden-{os.getpid()}"
        ip = lambda *words: subprocess.run(["ip", *words], check=True)
        ip("netns", "add", namespace)
        try:
            ip("-n", namespace, "link", "set", "lo", "up")
            for address in ["192.0.2.1/32", "192.0.2.2/32", "2001:db8::1/128", "2001:db8::2/128"]:
                ip("-n", namespace, "address", "add", address, "dev", "lo")
            ip("-n", namespace, "link", "add", "lan0", "type", "veth", "peer", "name", "lan1")
            for device, address in [("lan0", "fe80::1/64"), ("lan1", "fe80::2/64")]:
                ip("-n", namespace, "link", "set", device, "addrgenmode", "none")
                ip("-n", namespace, "link", "set", device, "up")
                ip("-n", namespace, "address", "add", address, "dev", device, "nodad")
            subprocess.run(["ip", "netns", "exec", namespace, sys.executable, __file__, "--inside",
                            scenario.__name__], check=True)
        finally:
            ip("netns", "delete", namespace)


if __name__ == "__main__":
    main()
