/* What a socket filter needs of the kernel's interface (include/uapi/linux/bpf.h), so that neither the headers of a
 * kernel nor libbpf are needed to build it. Numbers and offsets here are ABI. */
#pragma once

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;

#define SECTION(name) __attribute__((section(name), used))
#define INLINE static inline __attribute__((always_inline))

/* enum bpf_map_type */
#define MAP_HASH 1
#define MAP_ARRAY 2
#define MAP_PERCPU_ARRAY 6
#define MAP_LRU_HASH 9
#define MAP_LPM_TRIE 11

/* Flags of maps and of updates. */
#define NO_PREALLOC 1
#define NOEXIST 1

/* The loader reads these from the section `maps`. */
struct map {
	u32 type, key_size, value_size, max_entries, flags;
};

/* struct __sk_buff, as far as it is used. */
struct packet {
	u32 len, pkt_type, mark, queue_mapping, protocol, vlan_present, vlan_tci, vlan_proto, priority, ingress_ifindex;
	u32 ifindex;
};

#define PACKET_OUTGOING 4 /* linux/if_packet.h */

/* enum bpf_func_id */
static void *(*map_lookup)(void *map, const void *key) = (void *)1;
static long (*map_update)(void *map, const void *key, const void *value, u64 flags) = (void *)2;
static u64 (*monotonic_ns)(void) = (void *)5;
static long (*load_relative)(const void *packet, u32 offset, void *to, u32 length, u32 start) = (void *)68;

#define FROM_NETWORK_HEADER 1 /* enum bpf_hdr_start_off */
