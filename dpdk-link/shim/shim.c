/* What Rust needs of DPDK, most of which is inline functions and macros: a burst is one call here. Buffers are opaque. */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>

struct kz_port {
    struct rte_mempool *pool;
    uint8_t mac[6];
    uint16_t mtu;
    uint16_t queues;
    uint16_t is_hashing;
};

int kz_start(int argc, char **argv) {
    int taken = rte_eal_init(argc, argv);
    return taken < 0 ? -rte_errno : 0;
}

/* A thread that moves frames: without a number of its own it has no cache of buffers. */
int kz_join(void) { return rte_thread_register() < 0 ? -rte_errno : 0; }

int kz_find(const char *name, uint16_t *id) { return rte_eth_dev_get_port_by_name(name, id); }

/* Starts a port with so many queues each way, and a pool of buffers for all of them. */
int kz_open(uint16_t id, uint16_t queues, uint16_t descriptors, uint32_t buffers, struct kz_port *port) {
    struct rte_eth_dev_info info;
    struct rte_eth_conf conf = {0};
    char name[RTE_MEMPOOL_NAMESIZE];
    int failed = rte_eth_dev_info_get(id, &info);
    if (failed) return failed;
    if (queues > info.max_rx_queues || queues > info.max_tx_queues) return -ENOSPC;
    uint64_t hashes = (RTE_ETH_RSS_IP | RTE_ETH_RSS_UDP) & info.flow_type_rss_offloads;
    if (queues > 1 && hashes) {
        conf.rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
        conf.rx_adv_conf.rss_conf.rss_hf = hashes;
    }
    conf.rxmode.offloads = info.rx_offload_capa & (RTE_ETH_RX_OFFLOAD_UDP_CKSUM | RTE_ETH_RX_OFFLOAD_IPV4_CKSUM);
    failed = rte_eth_dev_configure(id, queues, queues, &conf);
    if (failed) return failed;
    uint16_t rx = descriptors, tx = descriptors;
    failed = rte_eth_dev_adjust_nb_rx_tx_desc(id, &rx, &tx);
    if (failed) return failed;
    snprintf(name, sizeof name, "kz_buffers_%u", id);
    unsigned socket = rte_eth_dev_socket_id(id) < 0 ? SOCKET_ID_ANY : (unsigned)rte_eth_dev_socket_id(id);
    port->pool = rte_pktmbuf_pool_create(name, buffers, 128, 0, RTE_MBUF_DEFAULT_BUF_SIZE, socket);
    if (!port->pool) return -rte_errno;
    for (uint16_t queue = 0; queue < queues; queue++) {
        failed = rte_eth_rx_queue_setup(id, queue, rx, socket, NULL, port->pool);
        if (failed) return failed;
        failed = rte_eth_tx_queue_setup(id, queue, tx, socket, NULL);
        if (failed) return failed;
    }
    failed = rte_eth_dev_start(id);
    if (failed) return failed;
    /* Solicitations of IPv6 come to groups. Who cannot filter gets everything anyway. */
    (void)rte_eth_allmulticast_enable(id);
    struct rte_ether_addr mac;
    failed = rte_eth_macaddr_get(id, &mac);
    if (failed) return failed;
    memcpy(port->mac, mac.addr_bytes, 6);
    port->queues = queues;
    port->is_hashing = conf.rxmode.mq_mode == RTE_ETH_MQ_RX_RSS;
    return rte_eth_dev_get_mtu(id, &port->mtu);
}

/* What has come: buffers, where their bytes are, how many, and whether the card has verified their checksums (1). A frame
 * in several buffers has the length 0. */
uint16_t kz_receive(uint16_t id, uint16_t queue, void **buffers, uint8_t **bytes, uint32_t *lengths, uint8_t *verified,
                    uint16_t count) {
    struct rte_mbuf **mbufs = (struct rte_mbuf **)buffers;
    uint16_t got = rte_eth_rx_burst(id, queue, mbufs, count);
    for (uint16_t at = 0; at < got; at++) {
        struct rte_mbuf *mbuf = mbufs[at];
        uint64_t good = RTE_MBUF_F_RX_L4_CKSUM_GOOD;
        bytes[at] = rte_pktmbuf_mtod(mbuf, uint8_t *);
        lengths[at] = mbuf->nb_segs == 1 ? rte_pktmbuf_data_len(mbuf) : 0;
        verified[at] = (mbuf->ol_flags & RTE_MBUF_F_RX_L4_CKSUM_MASK) == good;
    }
    return got;
}

/* Empty buffers, and how many bytes each has room for; none if there are not enough. */
uint16_t kz_reserve(struct rte_mempool *pool, void **buffers, uint8_t **bytes, uint32_t *room, uint16_t count) {
    struct rte_mbuf **mbufs = (struct rte_mbuf **)buffers;
    if (rte_pktmbuf_alloc_bulk(pool, mbufs, count)) return 0;
    for (uint16_t at = 0; at < count; at++) {
        bytes[at] = rte_pktmbuf_mtod(mbufs[at], uint8_t *);
        *room = rte_pktmbuf_tailroom(mbufs[at]);
    }
    return count;
}

/* Hands over buffers with so many bytes each; gives how many the card has taken. The rest stays the caller's. */
uint16_t kz_transmit(uint16_t id, uint16_t queue, void **buffers, const uint32_t *lengths, uint16_t count) {
    struct rte_mbuf **mbufs = (struct rte_mbuf **)buffers;
    for (uint16_t at = 0; at < count; at++) {
        mbufs[at]->data_len = (uint16_t)lengths[at];
        mbufs[at]->pkt_len = lengths[at];
    }
    return rte_eth_tx_burst(id, queue, mbufs, count);
}

void kz_release(void **buffers, uint16_t count) { rte_pktmbuf_free_bulk((struct rte_mbuf **)buffers, count); }

/* Frames that the card had no room for. */
uint64_t kz_missed(uint16_t id) {
    struct rte_eth_stats stats;
    if (rte_eth_stats_get(id, &stats)) return 0;
    return stats.imissed + stats.rx_nombuf;
}

int kz_close(uint16_t id) {
    int failed = rte_eth_dev_stop(id);
    return failed ? failed : rte_eth_dev_close(id);
}
