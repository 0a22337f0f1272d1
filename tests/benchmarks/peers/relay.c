/* A plain UDP relay in C, for comparison: recvmmsg, a table of flows, sendmmsg, one thread.
 * It does less than ours: no token, no header, no counters, no limits, and nothing comes back.
 *
 *     relay BACKEND PORT [SHARED]
 *
 * prints "ready", its own port on the same host, and forwards until killed. With SHARED, several
 * processes have the same port; 0 for the first of them, which chooses it. */

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum { BATCH = 64, SIZE = 2048, SLOTS = 1 << 14 };

typedef union {
    struct sockaddr any;
    struct sockaddr_in ipv4;
    struct sockaddr_in6 ipv6;
} address;

typedef struct { uint64_t high, low; uint16_t port; } key;

static struct { key client; address backend; } flows[SLOTS];
static socklen_t length; /* of an address of the family in use */

static key key_of(const address *client) {
    key made = {0, client->ipv4.sin_addr.s_addr, client->ipv4.sin_port};
    if (client->any.sa_family == AF_INET6) {
        uint64_t halves[2];
        memcpy(halves, &client->ipv6.sin6_addr, sizeof halves);
        made = (key){halves[0], halves[1], client->ipv6.sin6_port};
    }
    return made;
}

static int same(key a, key b) {
    return a.port == b.port && a.low == b.low && a.high == b.high;
}

/* The flow's destination; a client that is new goes to `backend`. */
static address *flow_of(key client, const address *backend) {
    uint64_t mixed = (client.high ^ client.low) << 16 | client.port;
    uint64_t slot = mixed * 0x9E3779B97F4A7C15u >> 50;
    while (!same(flows[slot].client, client)) {
        if (!flows[slot].client.port) {
            flows[slot].client = client;
            flows[slot].backend = *backend;
            break;
        }
        slot = (slot + 1) % SLOTS;
    }
    return &flows[slot].backend;
}

static int open_socket(address bound, int shared) {
    int sock = socket(bound.any.sa_family, SOCK_DGRAM, 0), buffer = 4 << 20;
    setsockopt(sock, SOL_SOCKET, SO_REUSEPORT, &shared, sizeof shared);
    setsockopt(sock, SOL_SOCKET, SO_RCVBUF, &buffer, sizeof buffer);
    setsockopt(sock, SOL_SOCKET, SO_SNDBUF, &buffer, sizeof buffer);
    if (sock < 0 || bind(sock, &bound.any, length)) {
        perror("bind");
        exit(1);
    }
    return sock;
}

int main(int argc, char **argv) {
    static char buffers[BATCH][SIZE];
    static address sources[BATCH];
    static struct iovec slices[BATCH];
    static struct mmsghdr messages[BATCH];
    if (argc != 3 && argc != 4)
        return 2;
    address backend = {0}, host, public, bound;
    int ipv6 = strchr(argv[1], ':') != NULL;
    backend.any.sa_family = ipv6 ? AF_INET6 : AF_INET;
    length = ipv6 ? sizeof backend.ipv6 : sizeof backend.ipv4;
    if (inet_pton(backend.any.sa_family, argv[1],
                  ipv6 ? (void *)&backend.ipv6.sin6_addr : (void *)&backend.ipv4.sin_addr) != 1)
        return 2;
    host = public = backend;
    /* Both families have the port in the same place. */
    backend.ipv4.sin_port = htons(atoi(argv[2]));
    public.ipv4.sin_port = htons(argc == 4 ? atoi(argv[3]) : 0);
    int outside = open_socket(public, argc == 4), inside = open_socket(host, 0);
    socklen_t room = sizeof bound;
    getsockname(outside, &bound.any, &room);
    printf("ready %d\n", ntohs(bound.ipv4.sin_port));
    fflush(stdout);

    for (int i = 0; i < BATCH; i++) {
        slices[i].iov_base = buffers[i];
        messages[i].msg_hdr.msg_iov = &slices[i];
        messages[i].msg_hdr.msg_iovlen = 1;
    }
    for (;;) {
        for (int i = 0; i < BATCH; i++) {
            slices[i].iov_len = SIZE;
            messages[i].msg_hdr.msg_name = &sources[i];
            messages[i].msg_hdr.msg_namelen = length;
        }
        int count = recvmmsg(outside, messages, BATCH, MSG_WAITFORONE, NULL);
        if (count <= 0)
            continue;
        for (int i = 0; i < count; i++) {
            slices[i].iov_len = messages[i].msg_len;
            messages[i].msg_hdr.msg_name = flow_of(key_of(&sources[i]), &backend);
        }
        for (int done = 0; done < count;) {
            int sent = sendmmsg(inside, messages + done, count - done, 0);
            done += sent > 0 ? sent : 1;
        }
    }
}
