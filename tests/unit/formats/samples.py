"""Lease files as the servers of Debian 12 write them, for the same clients."""

from __future__ import annotations

KEA4 = """\
address,hwaddr,client_id,valid_lifetime,expire,subnet_id,fqdn_fwd,fqdn_rev,hostname,state,user_context
100.64.0.10,02:00:00:00:00:01,01:02:00:00:00:00:01,3600,1796076764,1,0,0,home,0,\
{ "ISC": { "relay-agent-info": "0x01013302086163636573732D31" } }
100.64.0.11,02:00:00:00:00:02,,3600,1796076764,1,0,0,,0,\
{ "ISC": { "relay-agent-info": "0x010600040001000402080006020000000099" } }
100.64.0.12,02:00:00:00:00:03,,3600,1796076764,1,0,0,ab,0,\
{ "ISC": { "relay-agent-info": "0x01013502086163636573732D310608637573742C223722" } }
"""
"""Kea 2.2.0: a line with text as identifiers, one with bytes, and one with a subscriber id."""

KEA4_NEW = """\
address,hwaddr,client_id,valid_lifetime,expire,subnet_id,fqdn_fwd,fqdn_rev,hostname,state,user_context,pool_id
100.64.0.10,02:00:00:00:00:01,01:02:00:00:00:00:01,3600,1796076764,1,0,0,home,0,\
{ "ISC": { "relay-agent-info": { "remote-id": "6163636573732D31"&#x2c \
"sub-options": "0x01013302086163636573732D31" } } },0
"""
"""The same as Kea writes it since 2.3."""

KEA6 = """\
address,duid,valid_lifetime,expire,subnet_id,pref_lifetime,lease_type,iaid,prefix_len,fqdn_fwd,fqdn_rev,\
hostname,hwaddr,state,user_context,hwtype,hwaddr_source
2001:db8::1000,00:03:00:01:02:00:00:00:00:01,3600,1796076787,1,3600,0,7,128,0,0,,02:00:00:00:00:01,0,\
{ "ISC": { "relays": [ { "hop": 0&#x2c "link": "2001:db8::1"&#x2c \
"options": "0x00120001330025000C000000096163636573732D31"&#x2c "peer": "fe80::2" } ] } },1,2
2001:db8::1001,00:03:00:01:02:00:00:00:00:02,3600,1796076787,1,3600,0,7,128,0,0,,02:00:00:00:00:02,0,\
{ "ISC": { "relays": [ { "hop": 0&#x2c "link": "2001:db8::1"&#x2c \
"options": "0x00120004000400010025000C00000009000602000000009900260006637573742D32"&#x2c \
"peer": "fe80::2" } ] } },1,2
2001:db8:100::,00:03:00:01:02:00:00:00:00:01,3600,1796076787,1,3600,2,7,48,0,0,,02:00:00:00:00:01,0,\
{ "ISC": { "relays": [ { "hop": 0&#x2c "link": "2001:db8::1"&#x2c \
"options": "0x00120001330025000C000000096163636573732D31"&#x2c "peer": "fe80::2" } ] } },1,2
"""

ISC4 = r"""# The format of this file is documented in the dhcpd.leases(5) manual page.
# This lease file was written by isc-dhcp-4.4.3-P1

# authoring-byte-order entry is generated, DO NOT DELETE
authoring-byte-order little-endian;

server-duid "\000\001\000\0012\240\242\315n\275\211-\356\250";

lease 100.64.0.10 {
  starts 1 2026/11/30 21:10:41;
  ends 1 2026/11/30 22:10:41;
  cltt 1 2026/11/30 21:10:41;
  binding state active;
  next binding state free;
  rewind binding state free;
  hardware ethernet 02:00:00:00:00:01;
  uid "\001\002\000\000\000\000\001";
  option agent.circuit-id "3";
  option agent.remote-id "access-1";
  client-hostname "home";
}
lease 100.64.0.11 {
  starts 1 2026/11/30 21:10:42;
  ends 1 2026/11/30 22:10:42;
  cltt 1 2026/11/30 21:10:42;
  binding state active;
  next binding state free;
  rewind binding state free;
  hardware ethernet 02:00:00:00:00:02;
  option agent.circuit-id 0:4:0:1:0:4;
  option agent.remote-id 0:6:2:0:0:0:0:99;
}
lease 100.64.0.12 {
  starts 1 2026/11/30 21:10:43;
  ends 1 2026/11/30 22:10:43;
  cltt 1 2026/11/30 21:10:43;
  binding state active;
  next binding state free;
  rewind binding state free;
  hardware ethernet 02:00:00:00:00:03;
  option agent.circuit-id "5";
  option agent.remote-id "access-1";
  option agent.unknown-6 "cust,\"7\"";
  client-hostname "a,b";
}
"""

ISC6 = r"""# The format of this file is documented in the dhcpd.leases(5) manual page.
# This lease file was written by isc-dhcp-4.4.3-P1

# authoring-byte-order entry is generated, DO NOT DELETE
authoring-byte-order little-endian;

server-duid "\000\001\000\0012\240\242\323n\275\211-\356\250";

ia-na "\007\000\000\000\000\003\000\001\002\000\000\000\000\001" {
  cltt 1 2026/11/30 21:10:46;
  iaaddr 2001:db8::1b8c {
    binding state active;
    preferred-life 2250;
    max-life 3600;
    ends 1 2026/11/30 22:10:46;
  }
}

ia-pd "\007\000\000\000\000\003\000\001\002\000\000\000\000\001" {
  cltt 1 2026/11/30 21:10:46;
  iaprefix 2001:db8:1ff::/48 {
    binding state active;
    preferred-life 2250;
    max-life 3600;
    ends 1 2026/11/30 22:10:46;
  }
}

"""

DNSMASQ = """\
1796076727 02:00:00:00:00:01 100.64.0.20 home 01:02:00:00:00:00:01
1796076727 02:00:00:00:00:02 100.64.0.19 * *
duid 00:01:00:01:32:a0:a3:1e:6e:bd:89:2d:ee:a8
0 7 2001:db8::198b * 00:03:00:01:02:00:00:00:00:02
0 7 2001:db8::198a * 00:03:00:01:02:00:00:00:00:01
"""
"""dnsmasq 2.90; the time of its IPv6 leases is ``infinite``."""
