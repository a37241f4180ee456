/* The socket filter in front of capture's rings: targeted conversations whole at their vantage, of everything else an
 * outline, each directed flow counted once per node.
 *
 * Layouts of keys, values and flags are repeated in weir/capture/bpf/layout.py; the vantage is the one of
 * weir/directory/vantage.py. Tests hold them to each other. All offsets count from the network header, so the program
 * serves every link layer. Tunnels are judged by their outer header. */
#include "bpf.h"

/* What is known of an end: bits of `end.flags`. */
#define TARGETED 1  /* its endpoint record is targeted */
#define FRONT 2	    /* a service address whose backends are captured */
#define CAPTURED 4  /* `end.node` is the number of a node on which a capture works */
#define KNOWN 8	    /* it has an endpoint record: the bits above come from the most exact one */
#define CHOSEN 16   /* a static target */
#define EXCLUDED 32 /* a static target that is excluded */
#define OWN 64	    /* weir's own */
#define UNSURE 128  /* of a range from which pods get their addresses: unless it is KNOWN or LOCAL, maybe a new pod's */
#define LOCAL 256   /* of an interface of this node */
#define STATIC (CHOSEN | EXCLUDED | OWN)

/* Bits of `config.flags`. */
#define CLOSED 1     /* capture is off */
#define EVERYTHING 2 /* all conversations are targeted */
#define OUTLINE 4    /* what is not targeted leaves an outline */
#define PODS 8	     /* rules for pods are in force */
#define NETS 16	     /* `nets` has entries */
#define PORTS 32     /* `ports` has entries */
#define ASIDES 64    /* `asides` has entries */

/* What happens to a directed flow: `flow.verdict`. */
#define PASS 0
#define SHED 1	/* targeted, but more than the node's ceiling allows: an outline is left */
#define HOLD 2	/* may be that of a new pod: whole, for a while */
#define SHAPE 3 /* outline: openings and closings, DNS and ICMP errors */
#define BARE 4	/* openings and closings only */
#define NONE 5
#define MINE 6 /* weir's own traffic */

/* How long after its last packet an interface owns a directed flow, unless another shows what it has not. */
#define OWNED_NS 1000000000ull
#define HOLD_NS 10000000000ull	 /* how long a flow of an unknown address is passed whole */
#define LOOPBACK 1		 /* the interface index of lo in every network namespace */

#define ICMP 1
#define TCP 6
#define UDP 17
#define ICMP6 58
#define SCTP 132
#define FIN 1
#define SYN 2
#define RST 4
#define OPENS_OR_CLOSES (FIN | SYN | RST)
#define DNS 0x3500	  /* port 53 in network order, read little-endian */

struct address {
	u32 word[4];
};

struct end_key {
	struct address address;
	u16 port; /* network order; 0 for every port */
	u16 pad;
};

struct end {
	u32 flags, pad;
	u64 node;
};

struct net_key {
	u32 prefix; /* 24 bits of port and family, and those of the network */
	u16 port;   /* network order; 0 for every port */
	u8 family;  /* 4 or 6 */
	u8 address[16];
	u8 pad;
};

struct flow_key {
	struct address src, dst;
	u16 sport, dport; /* network order */
	u8 protocol;
	u8 fragment; /* 1: its ports are not known: a later fragment without the first one, or cut */
	u16 pad;
};

struct flow {
	u64 packets, bytes, first, last;
	u64 state; /* under which the verdict was found */
	u32 owner; /* interface index * 2, + 1 for outgoing */
	u8 tcp_flags, verdict;
	u16 pad;
	u32 next; /* behind the last sequence number that its owner showed */
	u32 pad2;
};

struct fragment_key {
	struct address src, dst;
	u32 id;
	u8 protocol, pad[3];
};

struct config {
	u64 node; /* number of this node */
	u32 flags;
	u32 share;   /* conversations whose hash is above are shed */
	u32 snaplen; /* bytes kept of a packet */
	u32 pad;
};

struct stats {
	u64 seen, passed, passed_bytes, copies, own, outline, shed, shed_bytes, untracked, odd, created, payload_bytes;
};

SECTION("maps") struct map ends = {MAP_HASH, sizeof(struct end_key), sizeof(struct end), 131072, NO_PREALLOC};
SECTION("maps") struct map nets = {MAP_LPM_TRIE, sizeof(struct net_key), sizeof(struct end), 16384, NO_PREALLOC};
SECTION("maps") struct map ports = {MAP_HASH, sizeof(u32), sizeof(u32), 4096, NO_PREALLOC};
SECTION("maps") struct map flows = {MAP_LRU_HASH, sizeof(struct flow_key), sizeof(struct flow), 131072, 0};
/* Interfaces whose packets all appear elsewhere, too: bridges, if all interfaces are watched. */
SECTION("maps") struct map asides = {MAP_HASH, sizeof(u32), sizeof(u32), 4096, NO_PREALLOC};
/* Ports of fragmented packets, which only the first fragment carries. */
SECTION("maps")
struct map fragments = {MAP_LRU_HASH, sizeof(struct fragment_key), sizeof(u32), 4096, 0};
/* Two configurations; the lowest bit of the state says which one holds. The state rises with every change of these maps
 * that may change a verdict, after the change is complete. */
SECTION("maps") struct map configs = {MAP_ARRAY, sizeof(u32), sizeof(struct config), 2, 0};
SECTION("maps") struct map states = {MAP_ARRAY, sizeof(u32), sizeof(u64), 1, 0};
SECTION("maps") struct map counters = {MAP_PERCPU_ARRAY, sizeof(u32), sizeof(struct stats), 1, 0};

INLINE u32 mix(u32 h)
{
	h ^= h >> 16;
	h *= 0x85ebca6b;
	h ^= h >> 13;
	h *= 0xc2b2ae35;
	return h ^ h >> 16;
}

INLINE u32 fold(const struct address *a)
{
	return mix(mix(mix(mix(a->word[0]) ^ a->word[1]) ^ a->word[2]) ^ a->word[3]);
}

INLINE int mapped(const struct address *a)
{
	return !a->word[0] && !a->word[1] && a->word[2] == 0xffff0000;
}

/* All that is known of one end. */
INLINE struct end look_up(const struct address *address, u16 port, u32 flags)
{
	struct end found = {};
	struct end_key key = {.address = *address, .port = port};
	struct end *exact = port ? map_lookup(&ends, &key) : 0;
	key.port = 0;
	struct end *whole = map_lookup(&ends, &key);
	if (whole) {
		found.flags = whole->flags;
		found.node = whole->node;
	}
	if (exact) {
		if (exact->flags & KNOWN) {
			found.flags = (found.flags & (STATIC | LOCAL)) | exact->flags;
			found.node = exact->node;
		} else {
			found.flags |= exact->flags;
		}
	}
	if (flags & PORTS && port) {
		u32 number = port;
		u32 *of_port = map_lookup(&ports, &number);
		if (of_port)
			found.flags |= *of_port;
	}
	if (flags & NETS) {
		struct net_key net = {.prefix = 152, .family = mapped(address) ? 4 : 6};
		__builtin_memcpy(net.address, address, 16);
		struct end *any = map_lookup(&nets, &net);
		net.port = port;
		struct end *with_port = port ? map_lookup(&nets, &net) : 0;
		u32 more = (any ? any->flags : 0) | (with_port ? with_port->flags : 0);
		struct end *named = with_port && with_port->flags & KNOWN ? with_port : any;
		if (!(found.flags & KNOWN) && named && named->flags & KNOWN) {
			found.flags |= named->flags & ~KNOWN;
			found.node = named->node;
		}
		found.flags |= more & (STATIC | UNSURE);
	}
	return found;
}

INLINE int unsure(u32 flags)
{
	return (flags & (UNSURE | KNOWN | LOCAL)) == UNSURE;
}

/* A hash of a conversation, the same for both directions. */
INLINE u32 conversation(const struct flow_key *k, u32 src, u32 dst)
{
	u32 here = mix(src ^ mix(k->sport + 0x9e3779b9)), there = mix(dst ^ mix(k->dport + 0x9e3779b9));
	return mix((here + there) ^ k->protocol);
}

INLINE u8 judge(const struct flow_key *k, const struct config *c)
{
	struct end src = look_up(&k->src, k->sport, c->flags), dst = look_up(&k->dst, k->dport, c->flags);
	u32 either = src.flags | dst.flags;
	if (either & OWN)
		return MINE;
	int targeted = !(either & EXCLUDED) && (c->flags & EVERYTHING || either & (TARGETED | CHOSEN));
	u8 rest = c->flags & OUTLINE ? SHAPE : NONE;
	u32 fold_src = fold(&k->src), fold_dst = fold(&k->dst);
	int bare = !!(either & FRONT);
	if (!bare && src.flags & dst.flags & CAPTURED && src.node != dst.node &&
	    (c->node == src.node || c->node == dst.node)) {
		u64 low = src.node < dst.node ? src.node : dst.node, high = src.node ^ dst.node ^ low;
		bare = c->node != (mix(fold_src + fold_dst) >> 16 & 1 ? low : high);
	}
	if (bare)
		return targeted || c->flags & OUTLINE ? BARE : NONE;
	if (targeted)
		return conversation(k, fold_src, fold_dst) > c->share ? SHED : PASS;
	if (c->flags & PODS && !(either & EXCLUDED) && (unsure(src.flags) || unsure(dst.flags)))
		return HOLD;
	return rest;
}

/* What is read of a packet. */
struct seen {
	struct flow_key key;
	u32 length;  /* of the IP packet */
	u32 headers; /* of IP and TCP */
	u32 id;	     /* of the fragmented packet */
	u32 next;    /* the sequence number that follows */
	u8 tcp_flags, icmp_type, first_fragment;
};

INLINE int read_ipv4(struct packet *p, u32 at, struct seen *s, u32 *transport)
{
	u8 h[20];
	if (load_relative(p, at, h, 20, FROM_NETWORK_HEADER) || h[0] >> 4 != 4 || (h[0] & 15) < 5)
		return 0;
	*transport = at + ((h[0] & 15) << 2);
	s->length = h[2] << 8 | h[3];
	s->key.protocol = h[9];
	s->key.fragment = !!((h[6] & 0x1f) | h[7]);
	s->first_fragment = !s->key.fragment && h[6] & 0x20;
	s->id = h[4] << 8 | h[5];
	s->key.src.word[2] = s->key.dst.word[2] = 0xffff0000;
	__builtin_memcpy(&s->key.src.word[3], h + 12, 4);
	__builtin_memcpy(&s->key.dst.word[3], h + 16, 4);
	return 1;
}

INLINE int read_ipv6(struct packet *p, u32 at, struct seen *s, u32 *transport)
{
	u8 h[40], e[8], next;
	if (load_relative(p, at, h, 40, FROM_NETWORK_HEADER) || h[0] >> 4 != 6)
		return 0;
	u32 payload = h[4] << 8 | h[5], to = at + 40;
	s->length = payload ? 40 + payload : 0;
	next = h[6];
	__builtin_memcpy(&s->key.src, h + 8, 16);
	__builtin_memcpy(&s->key.dst, h + 24, 16);
	/* Hop-by-hop, routing, fragment, authentication, destination options (RFC 8200 section 4). */
#pragma unroll
	for (int i = 0; i < 8; i++) {
		if (next != 0 && next != 43 && next != 44 && next != 51 && next != 60)
			break;
		if (s->key.fragment || load_relative(p, to, e, 8, FROM_NETWORK_HEADER))
			break;
		if (next == 44) {
			s->key.fragment = !!(e[2] | (e[3] & 0xf8));
			s->first_fragment = !s->key.fragment && e[3] & 1;
			__builtin_memcpy(&s->id, e + 4, 4);
		}
		to += next == 44 ? 8 : next == 51 ? (e[1] + 2) << 2 : (e[1] + 1) << 3;
		next = e[0];
	}
	s->key.protocol = next;
	*transport = to;
	return 1;
}

INLINE void know_fragment(struct seen *s)
{
	struct fragment_key key = {.src = s->key.src, .dst = s->key.dst, .id = s->id, .protocol = s->key.protocol};
	if (s->first_fragment) {
		u32 both = (u32)s->key.dport << 16 | s->key.sport;
		map_update(&fragments, &key, &both, 0);
		return;
	}
	u32 *both = map_lookup(&fragments, &key);
	if (both) {
		s->key.sport = *both;
		s->key.dport = *both >> 16;
		s->key.fragment = 0;
	}
}

INLINE int read_packet(struct packet *p, struct seen *s)
{
	u32 at = 0, protocol = p->protocol, transport = 0;
	/* The kernel takes out the outer tag only. */
#pragma unroll
	for (int i = 0; i < 2; i++) {
		u16 tag[2];
		if (protocol != 0x0081 && protocol != 0xa888)
			break;
		if (load_relative(p, at, tag, 4, FROM_NETWORK_HEADER))
			return 0;
		protocol = tag[1];
		at += 4;
	}
	if (protocol == 0x0008) {
		if (!read_ipv4(p, at, s, &transport))
			return 0;
	} else if (protocol == 0xdd86) {
		if (!read_ipv6(p, at, s, &transport))
			return 0;
	} else {
		return 0;
	}
	if (!s->length) /* more than 65,535 bytes (jumbogram, offload) */
		s->length = p->len;
	u8 t[16] = {};
	u8 kind = s->key.protocol;
	if (s->key.fragment) {
		know_fragment(s);
		return 1;
	}
	if (kind == TCP) {
		if (load_relative(p, transport, t, 14, FROM_NETWORK_HEADER))
			goto cut;
		s->tcp_flags = t[13];
		s->headers = transport - at + (t[12] >> 4 << 2);
		s->next = ((u32)t[4] << 24 | t[5] << 16 | t[6] << 8 | t[7]) + s->length - s->headers;
		s->next += (t[13] & FIN) + (t[13] >> 1 & 1);
	} else if (kind == UDP || kind == SCTP) {
		if (load_relative(p, transport, t, 4, FROM_NETWORK_HEADER))
			goto cut;
	} else if (kind == ICMP || kind == ICMP6) {
		if (load_relative(p, transport, t, 1, FROM_NETWORK_HEADER))
			goto cut;
		s->icmp_type = t[0];
		return 1;
	} else {
		return 1;
	}
	__builtin_memcpy(&s->key.sport, t, 2);
	__builtin_memcpy(&s->key.dport, t + 2, 2);
	if (s->first_fragment)
		know_fragment(s);
	return 1;
cut:
	s->key.fragment = 1;
	return 1;
}

INLINE int icmp_error(const struct seen *s)
{
	u8 t = s->icmp_type;
	if (s->key.protocol == ICMP)
		return t == 3 || t == 4 || t == 5 || t == 11 || t == 12;
	return s->key.protocol == ICMP6 && t < 128;
}

INLINE int is_dns(const struct seen *s)
{
	return (s->key.protocol == TCP || s->key.protocol == UDP) && (s->key.sport == DNS || s->key.dport == DNS);
}

/* Whether a packet goes beyond what the flow's owner showed. On its way a packet meets the owner first, so if another
 * interface has news, the owner failed, or the way has changed. */
INLINE int is_news(const struct flow *f, const struct seen *s)
{
	if (s->key.protocol != TCP || s->key.fragment)
		return 0;
	return (int)(s->next - f->next) > 0 || (s->tcp_flags & SYN && s->next != f->next) ||
	       s->tcp_flags & ~f->tcp_flags & RST;
}

/* How many bytes an outline keeps of a packet. */
INLINE u32 outlined(const struct packet *p, const struct seen *s, const struct config *c, int bare)
{
	if (s->key.fragment)
		return 0;
	if (!bare && (is_dns(s) || icmp_error(s)))
		return c->snaplen;
	if (s->key.protocol != TCP || !(s->tcp_flags & OPENS_OR_CLOSES))
		return 0;
	/* Without payload. What precedes the network header is what the packet has beyond its IP length (padding makes it
	 * look like more, where there is little to cut). */
	u32 keep = s->length <= p->len ? p->len - s->length + s->headers : p->len;
	return keep < c->snaplen ? keep : c->snaplen;
}

/* Count, in a way that the compiler leaves where it is: branches that it joins add different numbers to one pointer in
 * one place, which the kernel refuses to a process without CAP_PERFMON (it could be speculated upon). */
#define COUNT(field, n) \
	do { \
		counted->field += (n); \
		__asm__ volatile("" : : "i"(__builtin_offsetof(struct stats, field)) : "memory"); \
	} while (0)

SECTION("socket") int weir(struct packet *p)
{
	u32 zero = 0;
	u64 *state = map_lookup(&states, &zero);
	struct stats *counted = map_lookup(&counters, &zero);
	if (!state || !counted)
		return 0;
	u64 now_state = *(volatile u64 *)state;
	u32 slot = now_state & 1;
	struct config *c = map_lookup(&configs, &slot);
	if (!c || c->flags & CLOSED)
		return 0;
	COUNT(seen, 1);
	u32 outgoing = p->pkt_type == PACKET_OUTGOING, me = p->ifindex << 1 | outgoing;
	if (outgoing && p->ifindex == LOOPBACK) {
		COUNT(copies, 1);
		return 0;
	}
	if (c->flags & ASIDES) {
		u32 interface = p->ifindex;
		if (map_lookup(&asides, &interface)) {
			COUNT(copies, 1);
			return 0;
		}
	}
	struct seen s = {};
	if (!read_packet(p, &s)) {
		COUNT(odd, 1);
		return 0;
	}
	u64 now = monotonic_ns();
	u8 verdict;
	struct flow *f = map_lookup(&flows, &s.key);
	if (!f) {
		struct flow fresh = {.first = now, .last = now, .state = ~0ull, .owner = me, .next = s.next};
		if (!map_update(&flows, &s.key, &fresh, NOEXIST))
			COUNT(created, 1);
		f = map_lookup(&flows, &s.key);
	}
	if (f) {
		if (f->owner != me) {
			/* Another CPU may be ahead of this one's time. */
			if ((long long)(now - f->last) < (long long)OWNED_NS && !is_news(f, &s)) {
				COUNT(copies, 1);
				return 0;
			}
			f->owner = me;
		}
		if (f->state != now_state) {
			f->verdict = judge(&s.key, c);
			f->state = now_state;
		}
		verdict = f->verdict;
		if (verdict == HOLD && now - f->first > HOLD_NS)
			verdict = f->verdict = c->flags & OUTLINE ? SHAPE : NONE;
		__sync_fetch_and_add(&f->packets, 1);
		__sync_fetch_and_add(&f->bytes, s.length);
		f->last = now;
		if ((int)(s.next - f->next) > 0 || s.tcp_flags & SYN)
			f->next = s.next;
		if (s.tcp_flags & ~f->tcp_flags)
			f->tcp_flags |= s.tcp_flags;
	} else {
		COUNT(untracked, 1);
		verdict = judge(&s.key, c);
	}
	u32 keep = 0;
	if (verdict == PASS || verdict == HOLD) {
		keep = c->snaplen;
		COUNT(payload_bytes, s.length);
	} else if (verdict == MINE) {
		COUNT(own, 1);
		return 0;
	} else if (verdict != NONE) {
		keep = outlined(p, &s, c, verdict == BARE);
		if (verdict == SHED) {
			COUNT(shed, 1);
			COUNT(shed_bytes, s.length);
		} else {
			COUNT(outline, 1);
		}
	}
	if (keep) {
		COUNT(passed, 1);
		COUNT(passed_bytes, keep < p->len ? keep : p->len);
	}
	return keep;
}

SECTION("license") char terms[] = "Dual MIT/GPL";
